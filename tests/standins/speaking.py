"""What a stand-in for a model says when a person tries the product with it: quotes from the passages that it was sent."""

import re
from ast import literal_eval
from typing import Any

from langchain_core.messages import HumanMessage

from domain.agents.prompts import EVIDENCE, Numbered
from domain.agents.state import Evidence, Need
from domain.knowledge import Chunk, Passage
from providers.extractive import answer

_PASSAGE = re.compile(
    r'<passage number="(?P<number>\d+)" title=(?P<title>[^\n]*)>\n(?P<text>.*?)\n</passage>', re.DOTALL
)
_QUESTION = re.compile(r"^Question: (?P<text>.*)\Z", re.DOTALL | re.MULTILINE)

AGENT = "any"


def speak(messages: list[dict[str, Any]]) -> str:
    """The embedded answer model's answer, read from the prompt alone, as a real model has to."""
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


def _path(title: str) -> tuple[str, ...]:
    return tuple(str(literal_eval(title)).split(" › "))
