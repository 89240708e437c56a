"""The checks of text from outside: what passes goes on as it came, what does not is named, and nothing else is raised."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadUserInput
from domain.inputs import Inputs, is_password, is_username

ANY_TEXT = st.text(st.characters(codec=None) | st.characters(categories=["Cs", "Cc"]))
CHECKS = ["message", "title", "username", "email", "password", "client_message_id", "comment", "search"]


def outcome(check: str, text: str) -> str | None:
    """The checked text, or None when it does not fit; whatever else is raised fails the test."""
    inputs = Inputs()
    checked: str | None = getattr(inputs, check)("field", text)
    try:
        inputs.check()
    except BadUserInput as error:
        return None if list(error.details["fields"]) == ["field"] else "other fields were blamed"
    return checked or ""


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("message", "What is the nano pricing plan?"),
        ("message", "  spaces stay \n\r\n\ttabs and lines too  "),
        ("message", "x" * 8_000),
        ("message", "🦊" * 8_000),
        ("message", "عربي नमस्ते \u200d\u2028 \ufeff"),
        ("title", "Nano"),
        ("title", "t" * 200),
        ("username", "testuser"),
        ("username", "Ünal.42_-@+"),
        ("username", "李小龍"),
        ("username", "u" * 64),
        ("email", "test@example.com"),
        ("email", "a.b+c@desk.test"),
        ("email", "me@test"),
        ("password", "8 chars!"),
        ("password", "🦊" * 1_024),
        ("password", "\0\n\x7f binary"),
        ("client_message_id", "x"),
        ("client_message_id", "0190-a b~!" + "c" * 118),
        ("comment", "Good.\nThanks!"),
        ("comment", "c" * 2_000),
        ("search", "100%_"),
        ("search", "s" * 200),
    ],
)
def test_keeps_what_fits_as_it_was_sent(check: str, text: str) -> None:
    assert outcome(check, text) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("message", ""),
        ("message", " \n\t "),
        ("message", "x" * 8_001),
        ("message", "nul \0"),
        ("message", "escape \x1b[2J"),
        ("message", "delete \x7f"),
        ("message", "next line \x85"),
        ("message", "half \ud83e"),
        ("message", "\udd8a the other half"),
        ("title", ""),
        ("title", "   "),
        ("title", "t" * 201),
        ("title", "two\nlines"),
        ("title", "two\u2028lines"),
        ("title", "tab\tbed"),
        ("title", "half \ud83e"),
        ("username", ""),
        ("username", "u" * 65),
        ("username", "two words"),
        ("username", " edge"),
        ("username", "new\n"),
        ("username", "semi;colon"),
        ("username", "ﬁsh"),
        ("username", "ａbc"),
        ("username", "e\u0301clair"),
        ("username", "x²"),
        ("username", "\u1160"),
        ("username", "zero\u200bwidth"),
        ("username", "half\ud83e"),
        ("email", ""),
        ("email", "nobody"),
        ("email", "a@b@c.test"),
        ("email", "a b@c.test"),
        ("email", "a@localhost"),
        ("email", "x" * 243 + "@domain.test"),
        ("email", "half\ud83e@c.test"),
        ("email", "nul\0@c.test"),
        ("email", "Name <a@c.test>"),
        ("password", "7 chars"),
        ("password", "p" * 1_025),
        ("password", "half a fox \ud83e"),
        ("client_message_id", ""),
        ("client_message_id", "c" * 129),
        ("client_message_id", " edge"),
        ("client_message_id", "edge "),
        ("client_message_id", "tab\t"),
        ("client_message_id", "é"),
        ("comment", "c" * 2_001),
        ("comment", "bell \a"),
        ("search", "s" * 201),
        ("search", "nul \0"),
        ("search", "half \ud83e"),
    ],
)
def test_refuses_what_does_not_fit(check: str, text: str) -> None:
    assert outcome(check, text) is None


def test_a_title_and_a_search_lose_the_space_around_them() -> None:
    assert outcome("title", "  My chat \n") == "My chat"
    assert outcome("search", "  nano ") == "nano"


def test_nothing_to_say_is_none() -> None:
    inputs = Inputs()
    assert inputs.comment("comment", " \n") is None
    assert inputs.comment("comment", None) is None
    assert inputs.search("search", "  ") is None
    assert inputs.search("search", None) is None
    assert inputs.client_message_id("client_message_id", None) is None
    inputs.check()


def test_an_address_is_normalized() -> None:
    assert outcome("email", "Me@EXAMPLE.com") == "Me@example.com"


def test_names_every_field_that_does_not_fit_at_once() -> None:
    inputs = Inputs()
    inputs.username("username", "two words")
    inputs.email("email", "test@example.com")
    inputs.password("password", "short")
    with pytest.raises(BadUserInput) as caught:
        inputs.check()
    assert caught.value.details["fields"] == {
        "username": "may hold only letters, digits and . _ - @ +",
        "password": "must have at least 8 characters",
    }
    assert "username: may hold" in caught.value.message
    assert "password: must have" in caught.value.message


@pytest.mark.parametrize("check", CHECKS)
@given(text=ANY_TEXT)
def test_any_text_is_kept_or_refused_and_what_is_kept_can_be_stored(check: str, text: str) -> None:
    kept = outcome(check, text)
    if kept is not None:
        assert kept.encode().decode() == kept
        assert check == "password" or "\0" not in kept
        assert check in ("email", "title", "search", "comment") or kept == text


@given(text=st.text(st.characters(categories=["Cc"], exclude_characters="\n\r\t"), min_size=1))
def test_no_control_character_gets_into_a_message(text: str) -> None:
    assert outcome("message", f"before {text} after") is None


@given(text=st.text(st.characters(categories=["L", "N", "M"]), max_size=64))
def test_a_username_has_one_way_to_be_written(text: str) -> None:
    if is_username(text):
        assert unicodedata.normalize("NFKC", text) == text
        assert text.isprintable()


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=1_024))
def test_any_whole_text_of_that_length_is_a_password(text: str) -> None:
    assert is_password(text)
    assert outcome("password", text) == text
