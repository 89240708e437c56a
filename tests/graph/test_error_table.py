"""Every failure that the domain names has its place in the face's table and its shape on the wire."""

from typing import get_args

import pytest
from graphql import GraphQLError

from domain import errors
from domain.errors import BadUserInput, ChatBusy, DeskError, ErrorCode, NotFound, RateLimited
from graph.errors import STATUS, tell, tell_desk_error
from tests.graph.desk import global_id

MADE = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, DeskError)]


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)


def test_every_code_belongs_to_an_error() -> None:
    assert {error.code for error in MADE} == set(ErrorCode)
    assert get_args(ErrorCode) == ()


@pytest.mark.parametrize(
    "error", [NotFound(), BadUserInput("odd"), errors.Unauthenticated(), errors.ModelUnavailable()]
)
def test_a_failure_keeps_its_code_and_says_whether_to_try_again(error: DeskError) -> None:
    told = tell(GraphQLError("anything", original_error=error, path=["a", 1]), "r1")
    assert told == {
        "message": error.message,
        "path": ["a", 1],
        "extensions": {"code": error.code, "retryable": error.retryable, "request_id": "r1"},
    }


def test_details_are_spelled_as_graphql_spells_names_and_ids() -> None:
    assert tell_desk_error(ChatBusy(7), "r")["extensions"]["details"] == {"turnId": global_id("Turn", 7)}
    assert tell_desk_error(RateLimited(30), "r")["extensions"]["details"] == {"retryAfter": 30}
    told = tell_desk_error(BadUserInput(fields={"client_message_id": "must not be empty"}), "r")
    assert told["message"] == "clientMessageId: must not be empty"
    assert told["extensions"]["details"] == {"fields": {"clientMessageId": "must not be empty"}}
