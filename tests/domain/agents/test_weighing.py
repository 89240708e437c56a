"""Agents are weighed on one scale, on which rare terms weigh more and unknown ones count against everybody."""

from typing import Any

import pytest

from domain.agents.weighing import Scale
from domain.knowledge import ANYBODY


async def test_a_rare_term_weighs_more_than_a_common_one(small_desk: Any) -> None:
    scale = Scale(small_desk.search)
    common = await scale.weigh("days zymurgy", small_desk.agents, ANYBODY)
    rare = await scale.weigh("scissors zymurgy", small_desk.agents, ANYBODY)
    assert rare.strengths["garden"].covered > 1.1 * common.strengths["garden"].covered


async def test_an_unknown_term_weighs_most_and_is_not_covered(small_desk: Any) -> None:
    scale = Scale(small_desk.search)
    known = await scale.weigh("prune tomatoes", small_desk.agents, ANYBODY)
    partly = await scale.weigh("prune tomatoes zymurgy", small_desk.agents, ANYBODY)
    assert known.strengths["garden"].covered == pytest.approx(1)
    assert partly.strengths["garden"].covered < 0.6


async def test_the_word_after_how_hardly_counts(small_desk: Any) -> None:
    scale = Scale(small_desk.search)
    often = (await scale.weigh("how often prune tomatoes", small_desk.agents, ANYBODY)).strengths["garden"]
    other = (await scale.weigh("how zymurgy prune tomatoes", small_desk.agents, ANYBODY)).strengths["garden"]
    assert often.covered > 1.3 * other.covered


async def test_words_that_say_nothing_weigh_nothing(small_desk: Any) -> None:
    weighed = await Scale(small_desk.search).weigh("what is it?", small_desk.agents, ANYBODY)
    assert weighed.terms == 0
    assert weighed.shares() == {"garden": 0.5, "library": 0.5}
