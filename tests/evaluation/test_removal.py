"""Whether leaving passages out of what is found does what an index made without them would do.

What is decided is the same; what is quoted may not be, since terms are weighed, and the latent-semantic space lies, by
all documents. One is what `evaluation.refusals` measures with, since it can be done for many turns at a time and on any search engine;
the other is the truth.
"""

from pathlib import Path

from domain.agents.state import Draft
from evaluation.plans import Ground, read_plan
from evaluation.turns import CaseTurns
from settings import HOUSE
from tests.evaluation.desks import opened
from tests.evaluation.public_data import public_data

NTH = 16


async def test_leaving_out_is_as_good_as_indexing_without(tmp_path: Path) -> None:
    ground = Ground(public_data(), HOUSE / "agents.toml", HOUSE / "examples" / "evaluation" / "suite.toml")
    suite = read_plan("mtrag", ground, nth=NTH).suites[0]
    cases = [case for case in suite.cases if case.answerable and case.relevant]
    left_out: list[Draft] = []
    indexed: list[Draft] = []
    async with opened(tmp_path, suite) as desk:
        left_out = [(await CaseTurns(desk, it, suite.documents).answered_without_relevant())[0].draft for it in cases]
        for case in cases:
            agent = case.relevant[0].agent
            gone = {place.document for place in case.relevant}
            whole = suite.documents[agent]
            await desk.stage.index(agent, [document for document in whole if document.id not in gone])
            indexed.append((await CaseTurns(desk, case, suite.documents).answered())[0].draft)
            await desk.stage.index(agent, whole)
    decisions = [bool(one.sources) == bool(other.sources) for one, other in zip(left_out, indexed, strict=True)]
    answers = [one.text == other.text for one, other in zip(left_out, indexed, strict=True)]
    assert len(cases) > 15
    assert all(decisions)
    assert sum(answers) >= 0.7 * len(answers)
