"""Of the passages that were found, those that say the same are shown once, and no more than fit."""

from hypothesis import given
from hypothesis import strategies as st

from domain.agents.selecting import CHARACTERS_PER_TOKEN, DIVERSITY, select
from domain.knowledge import Chunk, Passage
from domain.terms import content_terms

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


TEXTS = st.lists(
    st.sampled_from(["red", "green", "blue", "stone", "river", "cloud", "tiger", "piano"]), min_size=1, max_size=6
)


@given(st.lists(st.tuples(TEXTS, st.integers(1, 20)), max_size=12), st.integers(1, 6))
def test_who_is_not_compared_would_not_have_been_chosen(written: list[tuple[list[str], int]], limit: int) -> None:
    """The formula by the letter: each next one has the greatest value of all, beside all that were chosen before."""
    ordered = sorted(written, key=lambda one: -one[1])
    found = [passage(str(n), " ".join(words), score / 20) for n, (words, score) in enumerate(ordered)]
    said = {one.chunk.id: set(content_terms(one.chunk.text)) for one in found}

    def alike(one: Passage, other: Passage) -> float:
        ones, others = said[one.chunk.id], said[other.chunk.id]
        return len(ones & others) / len(ones | others)

    left: list[Passage] = []
    for one in found:
        if all(alike(one, other) < 0.85 for other in left):
            left.append(one)
    chosen: list[Passage] = []

    def value(one: Passage) -> float:
        nearest = max((alike(one, other) for other in chosen), default=0.0)
        return (1 - DIVERSITY) * (one.score / found[0].score) - DIVERSITY * nearest

    while left and len(chosen) < limit:
        chosen.append(max(left, key=value))
        left.remove(chosen[-1])
    assert names(select(found, limit, 1_000)) == names(tuple(sorted(chosen, key=lambda one: -one.score)))
