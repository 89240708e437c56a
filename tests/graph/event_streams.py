"""Reading GraphQL's event streams byte by byte."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx


async def blocks(response: httpx.Response) -> AsyncIterator[str]:
    """The stream's events and comments, as they come."""
    text = ""
    async for piece in response.aiter_text():
        text += piece
        *whole, text = text.split("\n\n")
        for block in whole:
            yield block


async def next_event(received: AsyncIterator[str]) -> tuple[str | None, str, Any]:
    """As `event`, of the next block that is no comment: a slow server fills its silence."""
    while (block := await anext(received)) == ":":
        pass
    return event(block)


def event(block: str) -> tuple[str | None, str, Any]:
    """id, event and data."""
    fields = {name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in block.split("\n"))}
    return fields.get("id"), fields["event"], json.loads(fields["data"]) if fields["data"] else None
