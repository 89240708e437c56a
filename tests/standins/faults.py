"""What can go wrong with a service, as data to script a stand-in with."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refuse:
    """An error status with the service's error body, whose message holds the key."""

    status: int
    code: str = "error"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Silence after so many pieces (None: before the answer's head), until `release`; then it goes on."""

    after: int | None = None


@dataclass(frozen=True)
class Reset:
    """The connection drops after so many pieces (None: before the answer's head)."""

    after: int | None = None


@dataclass(frozen=True)
class CutShort:
    """The stream ends in good order after so many pieces, without a finish reason."""

    after: int = 1


@dataclass(frozen=True)
class Malformed:
    """Something that is not JSON, in a stream after so many pieces."""

    after: int = 1


@dataclass(frozen=True)
class ErrorInStream:
    """An error object among the chunks, after so many pieces."""

    after: int = 1
    code: str = "server_error"


@dataclass(frozen=True)
class FilterPrompt:
    """The content filter refuses the question."""


@dataclass(frozen=True)
class FilterAnswer:
    """The content filter ends the answer after so many pieces."""

    after: int = 3


@dataclass(frozen=True)
class RefuseRows:
    """The service takes all rows of a batch but the first so many."""

    rows: int = 1


FAULTS: dict[str, Refuse | Hang | Reset | Malformed] = {
    "unauthorised": Refuse(401),
    "missing": Refuse(404),
    "refused": Refuse(400),
    "busy": Refuse(429, headers={"retry-after": "30"}),
    "failing": Refuse(500),
    "down": Refuse(503),
    "silent": Hang(),
    "reset": Reset(),
    "malformed": Malformed(),
}
"""Those that both services can have, by the names to switch them on with."""
