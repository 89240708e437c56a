"""Whatever comes over HTTP, the real server says what is wrong with it, and goes on.

ANSWERDESK_MALFORMED says how many requests are made: 400 unless told.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance import INPUTS
from tests.graph.desk import PASSWORD, code_of
from tests.graph.malformed import Case, Wire, malformed, wrong_with
from tests.live_server import live_server

pytestmark = pytest.mark.conformance("Malformed HTTP")
NUMBER = int(os.environ.get("ANSWERDESK_MALFORMED", "400"))
ASK = b'{"query": "{ __typename }"}'
REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }"


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with live_server() as url:
        yield url


@pytest.fixture(scope="module")
def token(base: str) -> str:
    person = {"username": "ada", "email": "ada@example.test", "password": PASSWORD}
    request = {"query": REGISTER, "variables": {"input": person}}
    answer = httpx.post(f"{base}/graphql", json=request, trust_env=False).json()
    return str(answer["data"]["register"]["accessToken"])


@pytest.fixture
def wire(base: str) -> Iterator[Wire]:
    address = urlsplit(base)
    wire = Wire(str(address.hostname), int(address.port or 80))
    yield wire
    wire.close()


def test_nothing_that_is_sent_is_the_servers_fault(
    wire: Wire, token: str, record_property: Callable[[str, object], None]
) -> None:
    """The server's log is looked through for tracebacks when it has stopped."""
    record_property(INPUTS, NUMBER)
    statuses: Counter[int | None] = Counter()
    for number in range(NUMBER):
        case = malformed(number, token)
        answer = wire.exchange(case)
        statuses[answer.status if answer else None] += 1
        wrong = wrong_with(case, answer)
        assert wrong is None, f"case {number} ({case.kind}): {wrong}\n{case.data()[:2_000]!r}\n{answer}"
    assert {200, 400, 405, 406, 413, 415} <= set(statuses), statuses  # each way to refuse was taken


REFUSED = {
    "not UTF-8": (b'{"query": "{ __typename }\xff"}', {}, 400, "BAD_USER_INPUT"),
    "nested deeply": (b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 40_000, {}, 400, "BAD_USER_INPUT"),
    "no object": (b"[" + ASK + b"]", {}, 400, "BAD_USER_INPUT"),
    "compressed": (gzip.compress(ASK), {"content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "said to be compressed": (ASK, {"content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "compressed in part": (ASK, {"content-encoding": "identity, GZIP"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "a megabyte": (b'{"query": "' + b"#" * 1_048_576 + b'"}', {}, 413, "PAYLOAD_TOO_LARGE"),
    "plain text": (ASK, {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "a form": (b"query=%7B__typename%7D", {"content-type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "a form with files": (ASK, {"content-type": "multipart/form-data; boundary=x"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "an unknown form of answer": (ASK, {"accept": "image/png"}, 406, "NOT_ACCEPTABLE"),
}  # fmt: skip


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused_before_anybody_is_authenticated(
    base: str, name: str, authorization: str | None
) -> None:
    body, headers, status, code = REFUSED[name]
    headers = {"content-type": "application/json", **headers}
    if authorization is not None:
        headers["authorization"] = authorization
    answer = httpx.post(f"{base}/graphql", content=body, headers=headers, trust_env=False)
    assert (answer.status_code, list(answer.json()), code_of(answer.json())) == (status, ["errors"], code)
    if status == 415:
        assert (answer.headers["accept-post"], answer.headers["accept-encoding"]) == ("application/json", "identity")


def test_a_body_that_is_labelled_as_it_is_is_taken(base: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": "Identity"}
    answer = httpx.post(f"{base}/graphql", content=ASK, headers=headers, trust_env=False)
    assert answer.json() == {"data": {"__typename": "Query"}}


def asked_at(wire: Wire, query: bytes) -> tuple[int, dict[str, object]]:
    answer = wire.exchange(Case(0, "address", b"GET", query))
    assert answer is not None
    return answer.status, json.loads(answer.body)


def test_an_address_is_read_as_utf_8(wire: Wire) -> None:
    status, answer = asked_at(wire, b"query=%7B%C3%9C%7D")
    assert "U+00DC" in str(answer)
    for parameters in (b"query=%ff", b"query={__typename}&operationName=%ff", b"query={__typename}&x=%ed%a0%80"):
        status, answer = asked_at(wire, parameters)
        assert (status, list(answer), code_of(answer)) == (400, ["errors"], "BAD_USER_INPUT")


def test_several_accept_lines_are_one_list(wire: Wire) -> None:
    headers = [(b"Content-Type", b"application/json"), (b"Accept", b"image/png")]
    refused = wire.exchange(Case(0, "accept", headers=headers, body=ASK))
    assert refused is not None
    assert refused.status == 406
    headers += [(b"Accept", b"application/json;q=0.2"), (b"Accept", b"application/graphql-response+json;q=0.8")]
    answer = wire.exchange(Case(0, "accept", headers=headers, body=ASK))
    assert answer is not None
    assert answer.status == 200
    assert answer.content_type.startswith("application/graphql-response+json")


def test_a_second_content_type_does_not_hide_behind_the_first(wire: Wire) -> None:
    headers = [(b"Content-Type", b"application/json"), (b"Content-Type", b"text/plain")]
    refused = wire.exchange(Case(0, "content type", headers=headers, body=ASK))
    assert refused is not None
    assert refused.status == 415
