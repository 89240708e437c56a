"""The model of a soak: Azure's stand-in, saying for each question what can be known beforehand, and keeping a record."""

import random
import re
import time

from soak.observations import Call
from tests.standins.azure_openai import AzureOpenAIStandIn, Messages
from tests.standins.loopback import Exchange, Reply

_KEY = re.compile(r"\(ask ([a-z0-9-]+)\)")
_WORDS = (
    "The", "Nano", "plan", "costs", "$9", "a", "month", "Größe", "naïve", "👩🏽‍🚀", "日本語", "עברית", "ΣΊΣΥΦΟΣ",
    "e\u0301", "\u00e9", "it's", '"quoted"', "back\\slash", "tab\there", "line\nbreak", "two\n\nlines", "next\u0085line",
    "separated\u2028so", "[", "[x]", "data:", "id: 7", "event: end", "%s", "\U0010ffff", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "twenty-five",
)  # fmt: skip
_SUPPORTED = "The Nano plan costs $9 a month [1].\n```\n"
PACE = 0.02
"""Seconds between two words."""


def question(key: str) -> str:
    return f"What is included in the nano pricing plan? (ask {key}) Größe 👩🏽‍🚀"


def answer(key: str) -> str:
    """15 to 150 words of anything in blocks of code, which nobody checks or changes, and between them what the documents
    say. Passage 1 alone, so that no marker is renumbered."""
    rng = random.Random(key)
    words = rng.choices(_WORDS, k=rng.randint(15, 150))
    return (
        _SUPPORTED
        + " ".join(word + (f"\n```\n{_SUPPORTED}" if rng.random() < 0.08 else "[1].") for word in words)
        + "\n```\n"
    )


def asked(messages: Messages) -> str:
    """The key of the question that a request asks; the conversation before it may hold others."""
    found = _KEY.findall(str(messages[-1].get("content")))
    return str(found[-1]) if found else "?"


class RecordingUpstream(AzureOpenAIStandIn):
    def __init__(self) -> None:
        super().__init__(pace=PACE)
        self.otherwise = lambda messages: answer(asked(messages))
        self.calls: list[Call] = []

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        key = asked(exchange.body["messages"]) if exchange.body else "?"
        call = Call(key, answer(key), time.monotonic())
        self.calls.append(call)
        try:
            await super().answer(exchange, reply)
        finally:
            call.ended, call.aborted = time.monotonic(), exchange.aborted
            exchange.sent.clear()  # a long run has millions
            exchange.body = None
