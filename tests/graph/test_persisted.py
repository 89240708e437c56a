"""Persisted documents: a hash or an id in place of a text, on every transport alike."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.limits import MAX_SELECTIONS, Limits
from graph.persisted import LEAST_SIZE, PersistedDocuments, RegisteredTexts
from graph.requests import operation_of
from graph.schema import create_schema
from settings import Settings
from tests.graph.desk import TEXT, Desk, code_of
from tests.graph.sockets import connect, signed_in

pytestmark = pytest.mark.conformance("Persisted documents")

QUERY = "{ __typename viewer { __typename } }"
ANSWER = {"__typename": "Query", "viewer": None}
SEND = (
    "subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on AnswerDelta { text } } }"
)
Ask = Callable[[Desk, dict[str, Any]], Awaitable[dict[str, Any]]]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def hashed(text: str, **members: Any) -> dict[str, Any]:
    """A request by hash, in Apollo's way."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}, **members}


def identified(text: str, **members: Any) -> dict[str, Any]:
    """A request by hash, in the way of GraphQL over HTTP."""
    return {"documentId": f"sha256:{sha256(text)}", **members}


async def by_post(desk: Desk, members: dict[str, Any]) -> dict[str, Any]:
    response = await desk.post(members)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


async def by_get(desk: Desk, members: dict[str, Any]) -> dict[str, Any]:
    given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
    response = await desk.http.get(desk.url, params=given, headers={"accept": "application/graphql-response+json"})
    answer: dict[str, Any] = response.json()
    assert response.status_code == (200 if "data" in answer else 400)
    return answer


async def by_events(desk: Desk, members: dict[str, Any]) -> dict[str, Any]:
    response = await desk.post(members, headers={"accept": "text/event-stream"})
    events = [block for block in response.text.split("\n\n") if block.startswith("event")]
    assert [event.split("\n")[0] for event in events] == ["event: next", "event: complete"]
    answer: dict[str, Any] = json.loads(events[0].partition("data: ")[2])
    return answer


async def by_socket(desk: Desk, members: dict[str, Any]) -> dict[str, Any]:
    async with connect(desk) as socket:
        await socket.init()
        await socket.send({"id": "1", "type": "subscribe", "payload": members})
        told: dict[str, Any] = await socket.receive()
        if told["type"] == "error":
            return {"errors": told["payload"]}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        answer: dict[str, Any] = told["payload"]
        return answer


TRANSPORTS = [by_post, by_get, by_events, by_socket]


# ------------------------------------------------------------ automatic persisted queries


@pytest.mark.parametrize("named", [hashed, identified])
@pytest.mark.parametrize("ask", TRANSPORTS)
async def test_a_hash_is_unknown_until_its_text_came_with_it(
    desk: Desk, ask: Ask, named: Callable[..., dict[str, Any]]
) -> None:
    missed = await ask(desk, named(QUERY))
    assert code_of(missed) == "PERSISTED_QUERY_NOT_FOUND"
    assert missed["errors"][0]["message"] == "PersistedQueryNotFound"
    assert "data" not in missed
    assert await ask(desk, named(QUERY, query=QUERY)) == {"data": ANSWER}
    for other in TRANSPORTS:
        assert await other(desk, hashed(QUERY)) == {"data": ANSWER}
        assert await other(desk, identified(QUERY)) == {"data": ANSWER}


async def test_a_text_alone_registers_nothing(desk: Desk) -> None:
    assert await by_post(desk, {"query": QUERY}) == {"data": ANSWER}
    assert code_of(await by_post(desk, hashed(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize("ask", TRANSPORTS)
async def test_a_text_with_the_hash_of_another_is_refused(desk: Desk, ask: Ask) -> None:
    assert code_of(await ask(desk, hashed(QUERY, query="{ __typename }"))) == "PERSISTED_QUERY_HASH_MISMATCH"
    for text in (QUERY, "{ __typename }"):
        assert code_of(await ask(desk, hashed(text))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "text",
    ["{ viewer {", "{ missing }", "{ viewer { " + "id " * (MAX_SELECTIONS + 1) + "} }", "fragment F on User { id }",
     "query A { viewer { id } } query B { viewer { id } }"],
)  # fmt: skip
async def test_what_may_not_run_is_not_registered(desk: Desk, text: str) -> None:
    assert "errors" in await by_post(desk, hashed(text, query=text))
    assert code_of(await by_post(desk, hashed(text))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "members",
    [
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": sha256(QUERY)}}},
        {"extensions": {"persistedQuery": {"sha256Hash": sha256(QUERY)}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": ""}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}},
        {"extensions": {"persistedQuery": "hash"}},
        {"documentId": "a b"},
        {"documentId": ":a"},
        {"documentId": "sha256:"},
        {"documentId": "a", **hashed(QUERY)},
        {"extensions": {"persistedQuery": None}},
    ],
)
async def test_what_names_no_document_is_no_request(desk: Desk, members: dict[str, Any]) -> None:
    response = await desk.post(members)
    assert (response.status_code, code_of(response.json())) == (400, "BAD_USER_INPUT")
    assert (await desk.http.get(desk.url, params={k: json.dumps(v) for k, v in members.items()})).status_code == 400
    assert code_of(await by_socket(desk, {"query": "", **members})) == "BAD_USER_INPUT"


@pytest.mark.parametrize("wrong", [7, [], {}])
async def test_an_id_that_is_no_text_is_refused(desk: Desk, wrong: object) -> None:
    assert (await desk.post({"documentId": wrong})).status_code == 400
    async with connect(desk) as socket:
        await socket.init()
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": QUERY, "documentId": wrong}})
        assert await socket.closed() == 4400


async def test_on_a_socket_a_text_is_needed_where_nothing_stands_for_it(desk: Desk) -> None:
    async with connect(desk) as socket:
        await socket.init()
        await socket.send({"id": "1", "type": "subscribe", "payload": {"extensions": {"other": 1}}})
        assert await socket.closed() == 4400


async def test_mutations_never_run_over_get_by_hash_either(desk: Desk, token: str) -> None:
    text = "mutation { logout }"
    headers = {"authorization": f"Bearer {token}"}
    given = {"extensions": json.dumps(hashed(text)["extensions"])}
    refused = await desk.http.get(desk.url, params={**given, "query": text}, headers=headers)
    assert refused.status_code == 405
    viewer = "{ viewer { username } }"
    assert (await desk.data(viewer, token=token))["viewer"]
    await by_post(desk, hashed(text, query=text))
    assert (await desk.http.get(desk.url, params=given, headers=headers)).status_code == 405
    assert (await desk.data(viewer, token=token))["viewer"]
    assert (await desk.post(hashed(text), token)).json() == {"data": {"logout": True}}


async def test_the_operation_is_chosen_by_its_name_and_takes_variables(desk: Desk) -> None:
    text = "query A { __typename } query B($no: Boolean!) { b: __typename @skip(if: $no) c: __typename }"
    by_name = {"operationName": "B", "variables": {"no": True}}
    assert await by_post(desk, hashed(text, query=text, **by_name)) == {"data": {"c": "Query"}}
    for ask in TRANSPORTS:
        assert await ask(desk, hashed(text, **by_name)) == {"data": {"c": "Query"}}
    assert code_of(await by_post(desk, hashed(text))) == "OPERATION_RESOLUTION_FAILURE"


async def test_a_turn_streams_by_hash(desk: Desk, token: str, chat: str) -> None:
    given = {"variables": {"input": {"sessionId": chat, "text": "What is Nano?", "clientMessageId": "1"}}}
    async with signed_in(desk, token) as socket:
        for members in (hashed(SEND, query=SEND, **given), hashed(SEND, **given)):
            await socket.send({"id": "1", "type": "subscribe", "payload": members})
            events = [result["data"]["sendMessage"] async for result in socket.results()]
            assert "".join(event.get("text", "") for event in events) == TEXT
    response = await desk.post(hashed(SEND, **given), token, headers={"accept": "text/event-stream"})
    datas = [line.partition("data: ")[2] for line in response.text.split("\n") if line.startswith("data: ")]
    deltas = [json.loads(data)["data"]["sendMessage"].get("text", "") for data in datas]
    assert "".join(deltas) == TEXT


# ------------------------------------------------------------ the room for them


def persisted() -> PersistedDocuments:
    limits = Limits()
    schema = create_schema(limits)
    return PersistedDocuments(schema._schema, schema.documents, Settings(_env_file=None))


def numbered(number: int, length: int = 1) -> str:
    return "{ __typename }" + f"#{number}".ljust(length, ".")


LONG, MANY = 16_384, 300
"""Texts of this length, of which so many are more than there is room for."""


def register(documents: PersistedDocuments, text: str, address: str) -> None:
    assert documents.resolve(operation_of(hashed(text, query=text)), address).refusal is None


def knows(documents: PersistedDocuments, text: str) -> bool:
    return documents.resolve(operation_of(hashed(text)), "").query == text


def test_whoever_registers_without_end_only_replaces_its_own() -> None:
    documents = persisted()
    for number in range(20):
        register(documents, numbered(number), "192.0.2.1")
    for number in range(MANY):
        register(documents, numbered(number, LONG), "198.51.100.7")
    assert all(knows(documents, numbered(number)) for number in range(20))
    assert not knows(documents, numbered(0, LONG))
    assert knows(documents, numbered(MANY - 1, LONG))


def test_the_addresses_that_one_subscriber_of_ipv6_has_are_one() -> None:
    documents = persisted()
    base = int(IPv6Address("2001:db8:0:1::"))
    for number in range(20):
        register(documents, numbered(number), "2001:db8:0:2::1")
    for number in range(MANY):
        register(documents, numbered(number, LONG), str(IPv6Address(base + number)))
    assert all(knows(documents, numbered(number)) for number in range(20))


def test_what_is_asked_for_stays_longest() -> None:
    texts = RegisteredTexts(3 * LEAST_SIZE)
    for key in "abc":
        texts.put(key, key, "one")
    assert texts.get("a") == "a"
    texts.put("d", "d", "one")
    assert [key for key in "abcd" if texts.get(key)] == ["a", "c", "d"]


@examples(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5_000), st.sampled_from("xyz"))))
def test_their_size_is_bounded_and_known(puts: list[tuple[int, int, str]]) -> None:
    texts = RegisteredTexts(8_000)
    kept: dict[str, str] = {}
    for number, length, owner in puts:
        key, text = f"{number}-{length}", "é" * (length // 2) + "x"
        texts.put(key, text, owner)
        kept[key] = text
        known = {name: found for name in kept if (found := texts.get(name)) is not None}
        assert all(found == kept[name] for name, found in known.items())
        assert len(texts) == len(known) >= 1
        assert texts.size == sum(max(len(found.encode()), LEAST_SIZE) for found in known.values()) <= 8_000


def test_texts_are_hashed_as_utf_8() -> None:
    """The example of the appendix, with its hash."""
    text = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"
    asked = operation_of({"query": text, "documentId": f"sha256:{sha256(text)}"})
    assert persisted().resolve(asked, "").refusal is None
    assert sha256(text) == "7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"
