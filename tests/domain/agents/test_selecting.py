"""Of the passages that were found, those that say the same are shown once, and no more than fit."""

from domain.agents.selecting import CHARACTERS_PER_TOKEN, select
from domain.knowledge import Chunk, Passage

PLAN = "The Nano plan costs nine dollars a month and includes three returns"


def passage(name: str, text: str, score: float) -> Passage:
    return Passage(Chunk(name, name, "pricing", ("",), text, 0), score)


def names(found: tuple[Passage, ...]) -> list[str]:
    return [one.chunk.id for one in found]


def test_two_that_say_the_same_are_shown_once() -> None:
    found = [passage("a", PLAN, 0.9), passage("b", f"{PLAN}.", 0.8), passage("c", "Refunds take ten days", 0.3)]
    assert names(select(found, 6, 1_000)) == ["a", "c"]


def test_another_kind_comes_before_more_of_the_same() -> None:
    found = [
        passage("a", f"{PLAN} for one user", 0.9),
        passage("b", f"{PLAN} for two users and an accountant beside support by phone", 0.62),
        passage("c", "Refunds reach the card within ten business days", 0.6),
    ]
    assert names(select(found, 2, 1_000)) == ["a", "c"]


def test_they_fit_into_the_tokens_but_the_best_is_always_there() -> None:
    found = [passage("a", "long " * 200, 0.9), passage("b", "short words", 0.8), passage("c", "tiny", 0.7)]
    assert names(select(found, 6, 10)) == ["a"]
    assert names(select(found, 6, 200 * 5 // CHARACTERS_PER_TOKEN + 2)) == ["a", "c"]


def test_the_best_comes_first() -> None:
    found = [passage(str(n), f"word{n} other{n}", 1 - n / 10) for n in range(5)]
    assert names(select(found, 3, 1_000)) == ["0", "1", "2"]
