"""Models that turn texts into vectors for Azure AI Search: a deployment that is asked over the network, or the embedded
one. A model that cannot answer is a NoVectorError, whatever its SDK calls it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import openai

from providers.embeddings import Embedder
from providers.entra import NoTokenError

Vector = list[float]

LONGEST_TEXT = 8_000
"""Characters of a text that are read. Azure's models take 8,191 tokens and refuse more."""
QUESTIONS = 256
"""How many questions' vectors are remembered."""


class NoVectorError(Exception):
    """The model gave no vectors; what its SDK raised is the cause."""


class EmbeddingModel(Protocol):
    """Belongs to one event loop; end it with `close`."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector for each text, all of one length. Raises NoVectorError."""
        ...

    async def close(self) -> None: ...


class DeployedEmbeddings:
    """A deployment of Azure OpenAI, or a model of any server that speaks OpenAI's embeddings."""

    def __init__(self, client: openai.AsyncOpenAI, model: str) -> None:
        self._client = client
        self.name = model

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        # An empty text is refused.
        read = [text[:LONGEST_TEXT] or " " for text in texts]
        try:
            answer = await self._client.embeddings.create(input=read, model=self.name, encoding_format="float")
        except (openai.OpenAIError, NoTokenError, ValueError) as error:  # the last for an answer that is no JSON
            raise NoVectorError(f"{self.name} gave no vectors") from error
        if len(answer.data) != len(texts):
            raise NoVectorError(f"{self.name} gave {len(answer.data)} vectors for {len(texts)} texts")
        return [found.embedding for found in sorted(answer.data, key=lambda found: found.index)]

    async def close(self) -> None:
        await self._client.close()


class LocalEmbeddings:
    """The embedded model, in a worker thread."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        vectors = await asyncio.to_thread(self._embedder.embed, list(texts))
        return [list(map(float, vector)) for vector in vectors]

    async def close(self) -> None:
        """Nothing is held open."""


class QuestionVectors:
    """The vectors of the questions asked last. A question that is asked of every agent at once is embedded once."""

    def __init__(self, model: EmbeddingModel, remembered: int = QUESTIONS) -> None:
        self._model = model
        self._remembered = remembered
        self._asked: OrderedDict[str, asyncio.Task[Vector]] = OrderedDict()

    async def of(self, question: str) -> Vector:
        """Raises NoVectorError, which is not remembered."""
        task = self._asked.get(question)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._asked[question] = asyncio.create_task(self._embed(question))
            task.add_done_callback(_heard)  # also when nobody waits any more
            while len(self._asked) > self._remembered:
                self._asked.popitem(last=False)
        self._asked.move_to_end(question)
        return await asyncio.shield(task)  # others may wait for it

    async def close(self) -> None:
        """Breaks off what is being asked."""
        waiting = [task for task in self._asked.values() if not task.done()]
        self._asked.clear()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _embed(self, question: str) -> Vector:
        [vector] = await self._model.embed([question])
        return vector


def _heard(task: asyncio.Task[Vector]) -> None:
    if not task.cancelled():
        task.exception()
