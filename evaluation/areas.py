"""All that can be measured of cases, in the order in which it is told."""

from typing import Any

from evaluation.answers import ANSWERS
from evaluation.citations import CITATIONS
from evaluation.figures import Area
from evaluation.follow_ups import FOLLOW_UPS
from evaluation.latency import LATENCY
from evaluation.refusals import REFUSALS
from evaluation.retrieval import RETRIEVAL
from evaluation.routing import ROUTING
from evaluation.safety import SAFETY

AREAS: dict[str, Area[Any]] = {
    area.name: area for area in (ROUTING, RETRIEVAL, FOLLOW_UPS, ANSWERS, CITATIONS, REFUSALS, SAFETY, LATENCY)
}
