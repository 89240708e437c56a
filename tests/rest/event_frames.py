"""Reads server-sent events as strictly as the protocol writes them: exactly three lines a frame, LF, nothing else."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

_FRAME = re.compile(rb"id: ([1-9][0-9]*)\nevent: ([a-z_]+)\ndata: (\{[^\r\n]*\})")
LAST = ("turn_completed", "turn_ended")
RESTART = b"retry: 1000\n: closed: SERVICE_UNAVAILABLE"


@dataclass(frozen=True)
class Frame:
    """One event; `seq` was both its id and in its data."""

    seq: int
    name: str
    data: dict[str, Any]


def read_frames(stream: bytes) -> list[Frame]:
    """The events of a whole stream; comments are left out."""
    assert b"\r" not in stream
    *frames, rest = stream.split(b"\n\n")
    assert rest == b"", f"the stream ends within a frame: {rest!r}"
    return [read_frame(frame) for frame in frames if not is_comment(frame)]


def read_frame(frame: bytes) -> Frame:
    match = _FRAME.fullmatch(frame)
    assert match, frame
    data = json.loads(match[3])
    assert data["seq"] == int(match[1])
    return Frame(data["seq"], match[2].decode(), data)


def is_comment(frame: bytes) -> bool:
    """Also the one that says when to come back."""
    return (frame.startswith(b":") and b"\n" not in frame) or frame == RESTART


async def arriving(response: httpx.Response) -> AsyncIterator[Frame]:
    """The events of a stream as they come."""
    pending = b""
    async for chunk in response.aiter_raw():
        *frames, pending = (pending + chunk).split(b"\n\n")
        for frame in frames:
            if not is_comment(frame):
                yield read_frame(frame)
    assert pending == b""


def text_of(frames: list[Frame]) -> str:
    return "".join(frame.data["text"] for frame in frames if frame.name == "answer_delta")
