"""How a result stream begins: its operation first, then the headers, which wait for a result, but not for long."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from starlette.types import Message
from strawberry.types import ExecutionResult

from domain.services import Services
from graph.context import DeskContext
from graph.multipart import MultipartStream
from graph.sse import EventStream
from graph.streams import ResultStream

HELLO = b'{"data":{"hello":1}}'


class Operation:
    """Gives `count` results, each when it is `due`; all that happens, in order."""

    def __init__(self, count: int, *, due: bool = True) -> None:
        self.happened: list[str | bytes] = []
        self.due = asyncio.Event()
        self._count = count
        if due:
            self.due.set()

    async def results(self) -> AsyncGenerator[ExecutionResult, None]:
        self.happened.append("begun")
        try:
            for _ in range(self._count):
                await self.due.wait()
                yield ExecutionResult(data={"hello": 1}, errors=None)
        finally:
            self.happened.append("ended")

    async def send(self, message: Message) -> None:
        self.happened.append(message.get("body", b"") if "body" in message else message["type"])

    def stream(self, form: type[ResultStream] = EventStream) -> ResultStream:
        return form(self.results(), DeskContext(cast("Services", None), None, "", "id"), 60)


async def still_there() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_headers_come_with_the_first_result() -> None:
    operation = Operation(2)
    stream = await operation.stream().begun()
    assert operation.happened == ["begun"]
    await stream({"type": "http"}, still_there, operation.send)
    first, second = b":\n\nevent: next\ndata: %b\n\n" % HELLO, b"event: next\ndata: %b\n\n" % HELLO
    closing = b"event: complete\ndata:\n\n"
    assert operation.happened == ["begun", "http.response.start", first, second, "ended", closing, b""]


async def test_they_come_without_one_too() -> None:
    operation = Operation(1, due=False)
    stream = await operation.stream().begun()
    sending = asyncio.create_task(stream({"type": "http"}, still_there, operation.send))
    while len(operation.happened) < 3:
        await asyncio.sleep(0)
    assert operation.happened == ["begun", "http.response.start", b":\n\n"]
    operation.due.set()
    await sending
    assert operation.happened[3] == b"event: next\ndata: %b\n\n" % HELLO


@pytest.mark.parametrize("form", [EventStream, MultipartStream])
async def test_what_has_no_result_is_whole(form: type[ResultStream]) -> None:
    operation = Operation(0)
    await (await operation.stream(form).begun())({"type": "http"}, still_there, operation.send)
    assert operation.happened == ["begun", "ended", "http.response.start", form.opening + form.closing, b""]


async def test_who_leaves_before_its_first_result_ends_it() -> None:
    operation = Operation(1, due=False)
    left = asyncio.Event()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    stream = await operation.stream().begun()
    sending = asyncio.create_task(stream({"type": "http"}, receive, operation.send))
    while len(operation.happened) < 3:
        await asyncio.sleep(0)
    left.set()
    await sending
    assert operation.happened[-1] == "ended"


async def test_one_that_is_not_sent_is_ended() -> None:
    operation = Operation(1, due=False)
    beginning = asyncio.create_task(operation.stream().begun())
    while not operation.happened:
        await asyncio.sleep(0)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert operation.happened == ["begun", "ended"]
