"""What a stand-in for a model says when a person tries the product with it: quotes from the passages that it was sent, and
the agent whose description has most of a question's words."""

import json
import re
from ast import literal_eval
from typing import Any

from langchain_core.messages import HumanMessage

from domain.agents.prompts import EVIDENCE, Numbered
from domain.agents.state import Evidence, Need
from domain.knowledge import Chunk, Passage
from domain.terms import content_terms
from providers.extractive import answer
from tests.standins.azure_openai import Replies

_PASSAGE = re.compile(
    r'<passage number="(?P<number>\d+)" title=(?P<title>[^\n]*)>\n(?P<text>.*?)\n</passage>', re.DOTALL
)
_QUESTION = re.compile(r"^Question: (?P<text>.*)\Z", re.DOTALL | re.MULTILINE)

AGENT = "any"


def speak(messages: list[dict[str, Any]]) -> str | Replies:
    """The embedded answer model's answer, or a decision, read from the prompt alone, as a real model has to."""
    if str(messages[0].get("content")).startswith("You prepare questions"):
        return _decision(str(messages[0]["content"]), json.loads(messages[1]["content"]))
    content = str(messages[-1].get("content"))
    asked = _QUESTION.search(content)
    if asked is None:
        return "OK."
    passages = tuple(
        Passage(Chunk(found["number"], found["number"], AGENT, _path(found["title"]), found["text"], 0), 1.0)
        for found in _PASSAGE.finditer(content)
    )
    numbered = Numbered([Evidence(Need(asked["text"], AGENT), passages)])
    return answer([HumanMessage(content, additional_kwargs={EVIDENCE: numbered})])


def _decision(rules: str, data: dict[str, Any]) -> Replies:
    question, before = data["question"], [line["text"] for line in data["conversation"] if line["role"] == "user"]
    agents = [json.loads(line) for line in rules.splitlines() if line.startswith('{"agent"')]
    for asked in (question, *([f"{question} ({before[-1]})"] if before else [])):
        terms = set(content_terms(asked))
        held = {it["agent"]: len(terms & set(content_terms(f"{it['title']} {it['knows']}"))) for it in agents}
        best = max(held, key=lambda name: held[name], default=None)
        if best is not None and held[best]:
            route = {"agent": best, "confidence": 0.7, "reason": "Its description has your words.", "questions": []}
            return Replies({"question": asked, "routes": [route]})
    return Replies({"question": question, "routes": []})


def _path(title: str) -> tuple[str, ...]:
    return tuple(str(literal_eval(title)).split(" › "))
