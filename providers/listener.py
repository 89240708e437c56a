"""A model that writes nothing, and tells what an answer model would have been given to read."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from domain.agents.prompts import EVIDENCE, Numbered
from domain.agents.state import Evidence


class Listener(BaseChatModel):
    """`keep` is called with the evidence of each answer."""

    keep: Callable[[Sequence[Evidence]], None]

    @property
    def _llm_type(self) -> str:
        return "listener"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        numbered: Numbered | None = messages[-1].additional_kwargs.get(EVIDENCE) if messages else None
        if numbered is not None:
            self.keep(numbered.evidence)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(""))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages)
