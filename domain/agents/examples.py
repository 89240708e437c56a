"""Agents known by example questions: what a new question resembles.

Nearest examples and naive Bayes vote together. Questions are short, so words, pairs of words and pieces of words
(four letters) all count. Chosen on CLINC150's development questions (docs/decisions/0005).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from domain.agents.catalog import Agent
from domain.terms import terms

NEAREST = 5
ALIKE = 15
"""One example in so many is expected to be like any other."""
SMOOTHING = 1.0
NEARNESS = 40.0
"""How much the nearest examples weigh beside naive Bayes' log odds."""
SHARPNESS = 0.2
"""Turns the votes into logits on the scale of the documents' evidence."""


class Examples:
    """The example questions of some agents."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = [agent.name for agent in agents]
        self._owners = [agent.name for agent in agents for _ in agent.examples]
        self.texts = tuple(example for agent in agents for example in agent.examples)
        texts = [_features(example) for example in self.texts]
        self._frequency = Counter(feature for text in texts for feature in text)
        self._size = len(texts)
        self._sizes = Counter(self._owners)
        self._by_owner: dict[str, Counter[str]] = {name: Counter() for name in self._agents}
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (owner, text) in enumerate(zip(self._owners, texts, strict=True)):
            self._by_owner[owner].update(text)
            weights = {feature: self._rarity(feature) for feature in text}
            norm = math.sqrt(sum(w * w for w in weights.values())) or 1.0
            for feature, weight in weights.items():
                self._postings[feature].append((number, weight / norm))

    def __bool__(self) -> bool:
        return self._size > 0

    def nearest(self, cosines: Sequence[float]) -> dict[str, float]:
        """For each agent, how alike its nearest examples are, of the cosines to `texts`: as `nearness`, in [-1, 1]."""
        by_owner: dict[str, list[float]] = {name: [] for name in self._sizes}
        for owner, cosine in zip(self._owners, cosines, strict=True):
            by_owner[owner].append(cosine)
        return self._filled({name: _nearest(found) for name, found in by_owner.items()})

    def nearness(self, question: str) -> dict[str, float]:
        """For each agent, how near its nearest examples are, in [0, 1.5]: their mean plus half of the nearest."""
        return {name: sum(near) / len(near) + near[0] / 2 for name, near in self._near(question).items()}

    def votes(self, question: str) -> dict[str, float]:
        """For each agent, the logit that the question is one of its kind."""
        near = self._near(question)
        features = [feature for feature in _features(question) if self._frequency[feature]]
        votes = dict.fromkeys(self._sizes, 0.0)
        for feature in features:
            odds = {
                name: (counted[feature] + SMOOTHING) / (self._sizes[name] + 2 * SMOOTHING)
                for name, counted in self._by_owner.items()
                if self._sizes[name]
            }
            mean = sum(odds.values()) / len(odds)
            for name, value in odds.items():
                votes[name] += math.log(value / mean)
        return self._filled(
            {
                name: SHARPNESS * (votes[name] + NEARNESS * (sum(near[name]) / len(near[name]) + near[name][0]))
                for name in votes
            }
        )

    def _filled(self, found: Mapping[str, float]) -> dict[str, float]:
        """With the mean for those who have no examples, for whom these speak neither way."""
        mean = sum(found.values()) / max(1, len(found))
        return {name: found.get(name, mean) for name in self._agents}

    def _near(self, question: str) -> dict[str, list[float]]:
        """The cosine similarity of each agent's nearest examples, nearest first; zero for one unlike."""
        weights = {feature: self._rarity(feature) for feature in _features(question)}
        norm = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        scores: defaultdict[int, float] = defaultdict(float)
        for feature, weight in weights.items():
            for number, other in self._postings.get(feature, ()):
                scores[number] += weight / norm * other
        near: dict[str, list[float]] = {name: [] for name in self._agents}
        for number, score in scores.items():
            near[self._owners[number]].append(score)
        return {
            name: (sorted(found, reverse=True) + [0.0] * NEAREST)[: max(1, min(NEAREST, self._sizes[name]))]
            for name, found in near.items()
        }

    def _rarity(self, feature: str) -> float:
        frequency = self._frequency[feature]
        return math.log1p((self._size - frequency + 0.5) / (frequency + 0.5))


def _nearest(cosines: list[float]) -> float:
    """Of few examples only the nearest tells something: the next may be of quite another matter."""
    found = sorted(cosines, reverse=True)[: max(1, min(NEAREST, len(cosines) // ALIKE))]
    return (sum(found) / len(found) + found[0] / 2) / 1.5


def _features(text: str) -> set[str]:
    words = terms(text)
    pairs = {f"{one} {other}" for one, other in pairwise(words)}
    framed = (f"<{word}>" for word in words)
    return set(words) | pairs | {"#" + word[i : i + 4] for word in framed for i in range(len(word) - 3)}
