"""How much the router trusts what it knows: one set of constants for words alone, one for words beside vectors.

All are logits, or what turns something into logits. How they were chosen, on which data, stands in docs/decisions/0005 and
0044; `answerdesk evaluate` measures them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """Evidence for an agent, for each unit of

    best, best5       the weight of the question's terms in its best passage, and the mean of its best five
    titled, profile   the weight of the terms in a passage's title, and in the agent's own description
    alike             the cosine of the question to its nearest passages

    and whether any document holds an answer, from those of the likeliest agent:

    depth, cover      the mean weight of the best ten passages, and the part of the question that one passage holds
    scope_alike       the cosine as above
    scope             the logit without any of them

    The same of example questions: `example_votes` of their words and `example_alike`, the cosine to the nearest of them,
    tell agents apart; `near`, `near_alike` and `example_scope` tell whether the question is of any one's kind, where there
    are no documents that tell more; beside documents, `example_scope_beside` takes the place of the last.
    """

    best: float
    best5: float
    titled: float
    profile: float
    depth: float
    cover: float
    scope: float
    example_votes: float
    near: float
    example_scope: float
    example_scope_beside: float
    alike: float = 0.0
    scope_alike: float = 0.0
    example_alike: float = 0.0
    near_alike: float = 0.0


WORDS = Calibration(
    best=0.27,
    best5=0.29,
    titled=0.2,
    profile=0.3,
    depth=0.36,
    cover=3.0,
    scope=-3.9,
    example_votes=1.4,
    near=10.0,
    example_scope=-1.4,
    example_scope_beside=-5.0,
)
"""Where the search engine compares no vectors."""
VECTORS = Calibration(
    best=0.2,
    best5=0.2,
    titled=0.2,
    profile=0.3,
    alike=8.0,
    depth=0.2,
    cover=1.0,
    scope_alike=10.0,
    scope=-5.0,
    example_votes=0.3,
    example_alike=16.0,
    near=5.0,
    near_alike=20.0,
    example_scope=-6.7,
    example_scope_beside=-12.0,
)
"""For the cosines of the embedded model."""
