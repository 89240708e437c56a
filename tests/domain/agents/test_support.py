"""Support: what a passage says, in other words too, supports a statement; another figure, a denial or other words do not."""

import pytest

from domain.agents.support import Statement, support, together

TEXT = (
    "The Nano plan costs $9 a month. It includes one user and three returns. Phone support is not included. "
    "Write to the team by e-mail, and expect an answer within two business days."
)
TITLE = "Plans › Nano"


@pytest.mark.parametrize(
    ("statement", "enough"),
    [
        ("The Nano plan costs $9 a month.", True),
        ("- **Nano** costs $9 per month", True),
        ("Three returns and 1 user are included in Nano.", True),
        ("You can expect an answer by e-mail within 2 business days.", True),
        ("Nano does not include phone support.", True),
        ("Nano includes phone support.", False),
        ("The Nano plan does not cost $9 a month.", False),
        ("The Nano plan costs $19 a month.", False),
        ("The Nano plan includes five returns in 2024.", False),
        ("Refunds reach the card after the chargeback was reviewed.", False),
    ],
)
def test_words_figures_and_denials_decide(statement: str, enough: bool) -> None:
    assert support(Statement.of(statement), TEXT, TITLE).enough is enough


def test_the_sentences_that_support_are_named() -> None:
    span = support(Statement.of("An answer comes within two business days."), TEXT, TITLE).span
    assert span is not None
    assert TEXT[span.start : span.end].startswith("Write to the team")


def test_a_sentence_without_claims_has_no_support_to_look_for() -> None:
    statement = Statement.of("Yes, it is.")
    assert not statement.claims
    assert support(statement, TEXT).score == 0.0


def test_several_passages_support_what_none_of_them_does_alone() -> None:
    said = Statement.of("Studio has 10 users, and every invoice arrives by post next morning.")
    one, other = support(said, "Studio has ten users."), support(said, "Every invoice arrives by post next morning.")
    assert not one.enough
    assert together(said, [one, other]).score == pytest.approx(1.0)
    assert not together(said, [one]).enough


def test_a_quotation_is_supported_whatever_stands_beside_it() -> None:
    """Quotation marks make one sentence of the passage, which denies something else."""
    passage = '"You do not fill in the form. You can pay someone to prepare the return for you. That is all."'
    assert support(Statement.of("You can pay someone to prepare the return for you."), passage).score == 1
    assert not support(Statement.of("You fill in the form."), passage).enough
