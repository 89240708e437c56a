"""For all tests: how what is logged in this process looks."""

import structlog

# The prettier tracebacks, which are structlog's own default, take seconds where the machine is busy.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
