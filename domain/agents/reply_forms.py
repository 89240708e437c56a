"""How a language model is asked for data instead of prose, and in which form it gives it.

    tool          the call of a tool that the request insists on
    json_schema   text that is JSON of a schema, which the server sees to (`response_format`)
    text          JSON in plain text, for which only the prompt asks

Servers differ: some refuse a request for what they do not know, some pass over it, and the model answers in prose. So the
form that a model keeps to is found out by asking (`ReplyForms`), unless the settings name it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

KNOWN, UNKNOWN = 4, 2
"""How much of a form is forgiven, in a row, before another is tried: one that the model kept to before, or not yet."""
SURE, DOUBTFUL = 2, 1
"""What is forgiven of it: a form that was refused or passed over; data that were wrong, or did not come in time."""
SHOWN = 1_000
"""Characters of a faulty reply that are shown to who wrote it."""
OBJECTS = 50
"""Braces in a text at which an object is looked for."""
_BOUNDS = frozenset({"maxItems", "maxLength", "minimum", "maximum"})
"""What strict schemas may not have (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)."""

_log = structlog.get_logger()


class ReplyForm(StrEnum):
    TOOL = "tool"
    JSON_SCHEMA = "json_schema"
    TEXT = "text"


class ReplyFault(ValueError):
    """A reply that cannot be taken. The message says why, for who wrote it; `reply` is what they wrote. `passed_over`:
    it is not in the form that was asked for, nor is it data."""

    def __init__(self, message: str, reply: str = "", *, passed_over: bool = False) -> None:
        super().__init__(message)
        self.reply = reply[:SHOWN]
        self.passed_over = passed_over


class FormRefused(Exception):
    """The server does not take a request in this form."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model gave, and as it wrote it. It may be data and yet not `in_form`."""

    data: Any
    text: str
    in_form: bool


@dataclass(frozen=True, slots=True)
class ReplySchema:
    """An object with all of `properties`, which are described in JSON Schema; the objects in it list all of theirs as
    required, and take no others. `strict` servers take bounds on numbers and lengths for a mistake; elsewhere they keep a
    small model from going on for ever."""

    name: str
    description: str
    properties: Mapping[str, Any]
    strict: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return object_of(self.properties)

    def asked_in(self, form: ReplyForm) -> dict[str, Any]:
        """What goes with a request beside its messages, as LangChain binds it to a model."""
        described = {"name": self.name, "description": self.description}
        if form is ReplyForm.TOOL:
            tool = {"type": "function", "function": described | {"parameters": self.schema}}
            return {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": self.name}}}
        if form is ReplyForm.JSON_SCHEMA:
            schema = {"strict": True, "schema": _unbounded(self.schema)} if self.strict else {"schema": self.schema}
            # Past the SDK's own reading of such replies, which fails where ours explains.
            return {"extra_body": {"response_format": {"type": "json_schema", "json_schema": described | schema}}}
        return {}

    def rule(self, form: ReplyForm) -> str:
        """For the prompt."""
        if form is ReplyForm.TOOL:
            return f"Reply with one call of `{self.name}`."
        if form is ReplyForm.JSON_SCHEMA:
            return "Reply with one JSON object, and with nothing else."
        return f"Reply with one JSON object of this JSON Schema, and with nothing else: {json.dumps(self.schema)}"

    def messages(self, rules: str, data: Any, form: ReplyForm, fault: ReplyFault | None = None) -> list[BaseMessage]:
        """The rules, with what the form asks for at `{rule}` in them, and the data as JSON. What was wrong with the reply
        before is told in one more message, as data: not every provider takes a faulty call back as part of the
        conversation."""
        rule = self.rule(form)
        asked: list[BaseMessage] = [SystemMessage(rules.replace("{rule}", rule)), HumanMessage(_json(data))]
        if fault is not None:
            asked.append(HumanMessage(f"Your reply {_json(fault.reply)} cannot be used: {fault}. {rule}"))
        return asked

    def read(self, message: AIMessage, form: ReplyForm) -> Reply:
        """Raises ReplyFault. Data are taken in whichever form they come."""
        if message.tool_calls:
            given = message.tool_calls[0]["args"]
            return Reply(given, json.dumps(given, ensure_ascii=False), form is ReplyForm.TOOL)
        if message.invalid_tool_calls:
            raise ReplyFault("the arguments are no JSON object", message.invalid_tool_calls[0]["args"] or "")
        text = str(message.text)
        found = _object_in(text, self.properties)
        if found is None:
            if form is ReplyForm.TOOL:
                raise ReplyFault(f"it is no call of `{self.name}`", text, passed_over=True)
            raise ReplyFault("it is no JSON object", text, passed_over="{" not in text)  # else it was cut off
        return Reply(found, text, form is not ReplyForm.TOOL)


class ReplyForms:
    """Which form one model is asked in next. `fixed` is never changed. Of one event loop; many may ask at a time."""

    def __init__(self, model: str, fixed: ReplyForm | None = None) -> None:
        self.form = fixed or ReplyForm.TOOL
        self._model = model
        self._fixed = fixed is not None
        self._forgiven = UNKNOWN
        self._known = False

    def kept(self, form: ReplyForm) -> None:
        """Data came in it and were good."""
        if form is self.form:
            self._known, self._forgiven = True, KNOWN

    def missed(self, form: ReplyForm, how: int) -> None:
        """SURE or DOUBTFUL. After the last form it is the first one's turn again."""
        if form is not self.form or self._fixed:
            return
        self._forgiven -= how
        if self._forgiven <= 0:
            forms = list(ReplyForm)
            self.form = forms[(forms.index(form) + 1) % len(forms)]
            self._known, self._forgiven = False, UNKNOWN
            _log.info("reply_form_changed", model=self._model, from_form=form.value, to_form=self.form.value)

    def late(self, form: ReplyForm) -> None:
        """Nothing came in time: it may be that the request was passed over, and the model writes at length."""
        if not self._known:
            self.missed(form, DOUBTFUL)

    def refused(self, form: ReplyForm) -> bool:
        """Whether there is a form that asks for less, so that it may have been this one that the server did not take."""
        if self._fixed or form is ReplyForm.TEXT:
            return False
        self.missed(form, SURE)
        return True


def object_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    required = list(properties)
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _unbounded(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_unbounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _unbounded(part) for key, part in schema.items() if key not in _BOUNDS}


def _object_in(text: str, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last object in a text that has a name which is asked for, else the last of any: models think aloud before."""
    decoder, at = json.JSONDecoder(), -1
    found: list[dict[str, Any]] = []
    for _ in range(OBJECTS):
        at = text.find("{", at + 1)
        if at < 0:
            break
        try:
            given, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        found.append(given)
        at = end - 1
    return max(reversed(found), key=lambda given: bool(given.keys() & properties.keys()), default=None)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
