"""One operation's results as server-sent events: graphql-sse's distinct connections mode.

After https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: `event: next` per result, then
`event: complete`. Turn events carry their `seq` as `id:`. LF line ends; a comment at once, so that the headers go
out, and after every silence.
"""

from strawberry.types import ExecutionResult

from graph.answers import answer_of, encode
from graph.context import DeskContext
from graph.negotiation import EVENT_STREAM
from graph.streams import ResultStream

COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"


class EventStream(ResultStream):
    form = EVENT_STREAM
    opening = silence = COMMENT
    closing = COMPLETE

    def frame(self, result: ExecutionResult, context: DeskContext) -> bytes:
        cursor = f"id: {context.cursor}\n".encode() if context.cursor is not None else b""
        return b"event: next\n%bdata: %b\n\n" % (cursor, encode(answer_of(result, context)))
