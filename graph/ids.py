"""Global ids: base64 of `Type:key`, opaque to clients, one namespace over all types.

Relay's Global Object Identification asks for ids that `node(id)` can tell apart; the key is the domain's id.
"""

import base64
import binascii
import re

from domain.errors import BadUserInput, NotFound

USER, CHAT_SESSION, MESSAGE, TURN, SOURCE = "User", "ChatSession", "Message", "Turn", "Source"

_SHAPE = re.compile(
    r"(User|ChatSession|Message|Turn):([1-9]\d{0,18})|(Source):([1-9]\d{0,18})-([1-9]\d{0,8})", re.ASCII
)


def encode_id(kind: str, key: int | str) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def decode_id(field: str, global_id: str) -> tuple[str, tuple[int, ...]]:
    """The type and the key: one integer, or for a source its message's id and its ordinal.

    Raises BadUserInput, naming `field`, for what no id of this API looks like."""
    try:
        text = base64.b64decode(global_id, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    shape = _SHAPE.fullmatch(text)
    if shape is not None and base64.b64encode(text.encode()).decode() == global_id:  # a thing has one id
        kind, *key = (group for group in shape.groups() if group is not None)
        return kind, tuple(int(number) for number in key)
    raise BadUserInput(fields={field: "is not an id of this API"})


def key_of(kind: str, field: str, global_id: str) -> int:
    """The integer key of an id that must be a `kind`. Raises BadUserInput for what is no id at all, and NotFound for
    the id of something else: there is no such `kind`."""
    found, key = decode_id(field, global_id)
    if found != kind:
        raise NotFound
    return key[0]
