"""A stand-in for a server with the endpoint `/rerank`: a text is as good as the part of the question's words in it.

with RerankStandIn() as server:
    …                                                # with server.environment() in the environment
"""

import re
from typing import Any

from tests.standins.loopback import Exchange, LoopbackServer, Reply

KEY, MODEL = "rerank-key", "reads-again"


class RerankStandIn(LoopbackServer):
    """With `body` set it answers that, with `status` another one than 200, and with `hangs` not at all. Its
    scores are shares, or `logits`."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.body: Any = None
        self.hangs = False
        self.logits = False

    def environment(self) -> dict[str, str]:
        return {"RERANK_BASE_URL": f"{self.url}/v1", "RERANK_MODEL": MODEL, "RERANK_API_KEY": KEY}

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        if self.hangs:
            return await self.hang(reply)
        if (exchange.method, exchange.path) != ("POST", "/v1/rerank"):
            return await reply.json(404, {"error": "there is nothing here"})
        if exchange.headers.get("authorization") != f"Bearer {KEY}":
            return await reply.json(401, {"error": "this is no key"})
        if self.status != 200 or self.body is not None:
            return await reply.json(self.status, self.body)
        asked = exchange.body
        wanted = _words(asked["query"])
        scores = [len(wanted & _words(text)) / len(wanted) for text in asked["documents"]]
        if self.logits:
            scores = [20 * score - 10 for score in scores]
        ranked = sorted(range(len(scores)), key=lambda place: -scores[place])[: asked["top_n"]]
        results = [{"index": place, "relevance_score": scores[place]} for place in ranked]
        return await reply.json(200, {"model": asked["model"], "results": results, "usage": {"total_tokens": 1}})


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
