"""Desks for the tests of agents: over small knowledge bases, over the sample ones, and one where a model decides."""

from tests.domain.agents.deciding_desk import deciding, deciding_model, upstream
from tests.domain.agents.small_desks import sample_desk, small_desk

__all__ = ["deciding", "deciding_model", "sample_desk", "small_desk", "upstream"]
