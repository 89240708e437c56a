"""A stand-in for Azure OpenAI: chat completions and embeddings on dated api-versions, on the v1 API, and as plain OpenAI.

    with AzureOpenAIStandIn() as upstream:
        upstream.script(Refuse(503), "Hello [1].")       # one step for each of the next requests, in order
        upstream.otherwise = lambda messages: "Always this."
        …
        upstream.requests[0].body["messages"]

Chunks have Azure's shape as its API description gives it: first the prompt's filter results without a choice, then
the role, then content with filter results, then the finish reason, then (when asked for) the usage.
"""

import asyncio
import json
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.standins.api_versions import refusal
from tests.standins.embedder import LetterEmbedder
from tests.standins.entra import OPENAI, EntraStandIn
from tests.standins.faults import CutShort, ErrorInStream, FilterAnswer, FilterPrompt, Hang, Malformed, Refuse, Reset
from tests.standins.loopback import Exchange, LoopbackServer, Reply

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Replies:
    """These data, as JSON or just as they are, in the form that was asked for: a call of the tool that the request brings,
    else text."""

    data: Mapping[str, Any] | str


@dataclass(frozen=True)
class Declines:
    """The model will not, in words of its own."""

    refusal: str = "I can't help with that."


Answer = str | Callable[[Messages], str | Replies]
Fault = Refuse | FilterPrompt | FilterAnswer | Hang | Reset | CutShort | Malformed | ErrorInStream
Step = Answer | Fault | Replies | Declines

_UNFILTERED = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
_FILTERED = {"hate": {"filtered": True, "severity": "high"}}
_PASSAGE = re.compile(r'<passage number="1".*?>\n(?P<text>.*?)\n</passage>', re.DOTALL)


def quote_first_passage(messages: Messages) -> str:
    """The first line of text of passage 1 in the last message, cited; what the stand-in says unless told otherwise."""
    found = _PASSAGE.search(str(messages[-1].get("content")))
    lines = [line.strip() for line in found["text"].splitlines() if line.strip(" -#|*")] if found else []
    return f"{lines[-1] if lines else 'That'} [1]." if found else "The passages do not hold the answer."


class AzureOpenAIStandIn(LoopbackServer):
    """`pace` is the time between two pieces of an answer, in seconds. With `entra` keys are switched off, and tokens count."""

    def __init__(self, deployment: str = "gpt-4o", pace: float = 0.0, entra: EntraStandIn | None = None) -> None:
        super().__init__()
        self.deployment = deployment
        self.other_deployments: set[str] = set()
        """That answer as well."""
        self.embedding_deployment = "text-embedding-3-small"
        self.embedder = LetterEmbedder()
        self.embedding_fault: Refuse | Hang | Reset | Malformed | None = None
        """What is wrong with every request for vectors."""
        self.entra = entra
        self.key = secrets.token_hex(16)
        self.pace = pace
        self.window: int | None = None
        """Words that a prompt may have; one with more is refused."""
        self.otherwise: Answer = quote_first_passage
        self.fault: Fault | None = None
        """What is wrong with every request that nothing is scripted for."""
        self._steps: deque[Step] = deque()

    def script(self, *steps: Step) -> None:
        """What the next requests get that are let in, one step each; afterwards it is `otherwise` again."""
        self._steps.extend(steps)

    def environment(self, api_version: str = "2024-10-21") -> dict[str, str]:
        """The settings that point a server here."""
        known_by = {"AZURE_CREDENTIAL": "entra"} if self.entra else {"AZURE_OPENAI_API_KEY": self.key}
        return {
            **known_by,
            "AZURE_OPENAI_DEPLOYMENT": self.deployment,
            "AZURE_OPEN_API_ENDPOINT": self.url,
            "AZURE_OPENAI_API_VERSION": api_version,
            "AZURE_OPENAI_EMBEDDING_DEPLOYMENT": self.embedding_deployment,
        }

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        refusal = self._refusal(exchange)
        if refusal is not None:
            status, code, message = refusal
            return await reply.json(status, _error(code, message))
        if exchange.path.endswith("/embeddings"):
            return await self._embed(exchange, reply)
        if self.window is not None and _words(exchange) > self.window:
            return await reply.json(400, _too_long())
        step = self._steps.popleft() if self._steps else self.fault or self.otherwise
        match step:
            case Refuse():
                body = _error(step.code, f"refused, as scripted; key {self.key}")
                return await reply.json(step.status, body, dict(step.headers))
            case FilterPrompt():
                return await reply.json(400, _prompt_filtered())
            case Hang(after=None):
                await self.hang(reply)
            case Reset(after=None):
                return reply.reset()
        said = step if isinstance(step, str) or callable(step) else self.otherwise
        given = said(exchange.body["messages"]) if callable(said) else said
        whole = step if isinstance(step, Replies | Declines) else given if isinstance(given, Replies) else None
        completion = _Completion(exchange, given if isinstance(given, str) else "")
        if whole is not None:
            return await reply.json(200, completion.whole_message(*_message(whole, exchange.body)))
        if exchange.body.get("stream"):
            return await self._stream(completion, step, reply)
        return await self._whole(completion, step, reply)

    def _refusal(self, exchange: Exchange) -> tuple[int, str, str] | None:
        """What Azure says to a request that is wrong by itself."""
        body, version = exchange.body or {}, exchange.query.get("api-version")
        dated = re.fullmatch(r"/openai/deployments/([^/]+)/(?:chat/completions|embeddings)", exchange.path)
        undated = exchange.path in ("/openai/v1/chat/completions", "/openai/v1/embeddings")
        if exchange.path in ("/v1/chat/completions", "/v1/embeddings"):
            return None
        if not (dated and version) and not (undated and version in (None, "v1", "preview", "latest")):
            return 404, "404", "Resource not found"
        if stranger := self._stranger(exchange, undated):
            return stranger
        embeds = exchange.path.endswith("/embeddings")
        known = {self.embedding_deployment} if embeds else {self.deployment, *self.other_deployments}
        if (dated[1] if dated else body.get("model")) not in known:
            return 404, "DeploymentNotFound", "The API deployment for this resource does not exist."
        return refusal(body, version if dated else None)

    def _stranger(self, exchange: Exchange, undated: bool) -> tuple[int, str, str] | None:
        if self.entra is None:
            bearer = exchange.headers.get("authorization", "").removeprefix("Bearer ")
            if self.key not in (exchange.headers.get("api-key"), bearer if undated else None):
                return 401, "401", "Access denied due to invalid subscription key or wrong API endpoint."
        elif "api-key" in exchange.headers:
            return 403, "AuthenticationTypeDisabled", "Key based authentication is disabled for this resource."
        elif not self.entra.lets_in(exchange, OPENAI):
            return 401, "401", "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired."
        elif not self.entra.assigned:
            return 401, "PermissionDenied", "The principal lacks the required data action to perform this operation."
        return None

    async def _embed(self, exchange: Exchange, reply: Reply) -> None:
        match self.embedding_fault:
            case Refuse(status, code, headers):
                return await reply.json(status, _error(code, f"refused, as scripted; key {self.key}"), dict(headers))
            case Malformed():
                return await reply.text(200, '{"data": [', {"content-type": "application/json"})
            case Reset():
                return reply.reset()
            case Hang():
                await self.hang(reply)
        asked = exchange.body["input"]
        texts = [asked] if isinstance(asked, str) else asked
        if not 1 <= len(texts) <= 2_048 or not all(0 < len(text) <= 30_000 for text in texts):
            return await reply.json(400, _error("invalid_request_error", "'$.input' is invalid."))
        data = [
            {"object": "embedding", "index": place, "embedding": [float(value) for value in vector]}
            for place, vector in enumerate(self.embedder.embed(texts))
        ]
        words = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return await reply.json(200, {"object": "list", "model": exchange.body["model"], "data": data, "usage": usage})

    async def _whole(self, completion: "_Completion", step: Step, reply: Reply) -> None:
        match step:
            case Malformed():
                return await reply.text(200, '{"choices": [', {"content-type": "application/json"})
            case ErrorInStream():
                return await reply.json(500, _error(step.code, "failed, as scripted"))
            case Hang(after=int()):
                await self.hang(reply)
            case Reset():
                return reply.reset()
        return await reply.json(
            200, completion.whole(filtered_after=step.after if isinstance(step, FilterAnswer) else None)
        )

    async def _stream(self, completion: "_Completion", step: Step, reply: Reply) -> None:
        await reply.start(200, {"content-type": "text/event-stream; charset=utf-8"})
        for chunk in completion.opening():
            await reply.event(chunk)
        breaks_at = (
            step.after if isinstance(step, FilterAnswer | Hang | Reset | CutShort | Malformed | ErrorInStream) else None
        )
        if breaks_at is not None:
            breaks_at = min(breaks_at, len(completion.pieces))
        for number, piece in enumerate([*completion.pieces, None]):
            if reply.exchange.aborted:
                return
            if number == breaks_at and not await self._goes_on(completion, step, reply):
                return
            if piece is not None:
                await reply.event(completion.content(piece))
                if self.pace:
                    await asyncio.sleep(self.pace)
        await self._finish(completion, reply, "stop")

    async def _goes_on(self, completion: "_Completion", step: Step, reply: Reply) -> bool:
        match step:
            case Hang():
                await self.hang(reply)
                return not reply.exchange.aborted
            case Reset():
                reply.reset()
            case CutShort():
                await reply.end()
            case Malformed():
                await reply.event('{"id": "chatcmpl-')
                await reply.end()
            case ErrorInStream():
                await reply.event(_error(step.code, "failed, as scripted"))
                await reply.end()
            case FilterAnswer():
                await self._finish(completion, reply, "content_filter")
        return False

    async def _finish(self, completion: "_Completion", reply: Reply, reason: str) -> None:
        await reply.event(completion.finish(reason))
        if (reply.exchange.body.get("stream_options") or {}).get("include_usage"):
            await reply.event(completion.chunk([], usage=completion.usage()))
        await reply.event("[DONE]")
        await reply.end()


class _Completion:
    """One answer in the wire's shapes. A piece stands for a token: a word with the space after it."""

    def __init__(self, exchange: Exchange, text: str) -> None:
        self.pieces = re.findall(r"\S+\s*|\s+", text)
        self._words = _words(exchange)
        self._azure = exchange.path.startswith("/openai/")
        self._id = f"chatcmpl-{secrets.token_hex(8)}"

    def opening(self) -> list[dict[str, Any]]:
        role = self.chunk([self._choice({"role": "assistant", "content": "", "refusal": None})])
        if not self._azure:
            return [role]
        results = [{"prompt_index": 0, "content_filter_results": _UNFILTERED}]
        return [self.chunk([], id="", object="", created=0, model="", prompt_filter_results=results), role]

    def content(self, piece: str) -> dict[str, Any]:
        return self.chunk([self._choice({"content": piece}, filters=_UNFILTERED)])

    def finish(self, reason: str) -> dict[str, Any]:
        return self.chunk([self._choice({}, reason, _FILTERED if reason == "content_filter" else {})])

    def usage(self) -> dict[str, int]:
        spoken = len(self.pieces)
        return {"prompt_tokens": self._words, "completion_tokens": spoken, "total_tokens": self._words + spoken}

    def chunk(self, choices: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
        chunk = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "gpt-4o-2024-11-20",
        }
        return {**chunk, "choices": choices, **others}

    def whole(self, filtered_after: int | None) -> dict[str, Any]:
        content = "".join(self.pieces[:filtered_after])
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": content, "refusal": None},
            "finish_reason": "stop" if filtered_after is None else "content_filter",
            "logprobs": None,
        }
        if self._azure:
            choice["content_filter_results"] = _UNFILTERED if filtered_after is None else _FILTERED
        return self.chunk([choice], object="chat.completion", usage=self.usage())

    def whole_message(self, message: dict[str, Any], reason: str) -> dict[str, Any]:
        """One that is more than text; asked for without a stream."""
        whole = self.whole(None)
        whole["choices"][0] |= {"message": message, "finish_reason": reason}
        return whole

    def _choice(
        self, delta: dict[str, Any], reason: str | None = None, filters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        if self._azure:
            choice["content_filter_results"] = filters or {}
        return choice


def _message(step: Replies | Declines, asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The message and why it ended. A tool that the request insists on ends it as if nothing had been called."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if isinstance(step, Declines):
        return message | {"refusal": step.refusal}, "stop"
    written = step.data if isinstance(step.data, str) else json.dumps(step.data)
    if "tools" not in asked:
        return message | {"content": written}, "stop"
    called = {"name": asked["tools"][0]["function"]["name"], "arguments": written}
    call = {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": called}
    return message | {"tool_calls": [call]}, "stop" if isinstance(asked.get("tool_choice"), dict) else "tool_calls"


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": code}}


def _words(exchange: Exchange) -> int:
    return sum(len(str(message.get("content")).split()) for message in exchange.body["messages"])


def _too_long() -> dict[str, Any]:
    message = "This model's context is full. Shorten the messages."
    code, kind = "context_length_exceeded", "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": "messages", "code": code}}


def _prompt_filtered() -> dict[str, Any]:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _FILTERED}
    error = {"code": "content_filter", "message": "The prompt was filtered.", "param": "prompt", "type": None}
    return {"error": {**error, "status": 400, "innererror": inner}}
