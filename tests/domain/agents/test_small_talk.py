"""Small talk is answered as such; what asks for something is not small talk."""

import pytest

from domain.agents.small_talk import reply


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("hi", "Hello"),
        ("Hello there!", "Hello"),
        ("thanks!", "You're welcome"),
        ("Ok, thank you very much.", "You're welcome"),
        ("great, bye", "Goodbye"),
    ],
)
def test_politeness_is_answered(text: str, begins: str) -> None:
    assert (reply(text) or "").startswith(begins)


@pytest.mark.parametrize("text", ["hi, what does nano cost?", "thanks, and for micro?", "okay google", "", "hide", "?"])
def test_questions_are_not_small_talk(text: str) -> None:
    assert reply(text) is None
