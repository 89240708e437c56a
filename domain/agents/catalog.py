"""The agents of `agents.toml`: who can be asked, and what each knows. A new agent is an entry there, not code."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEYS = {"name", "title", "description", "knowledge_base", "prompt", "audience", "examples", "deployment", "model"}
_KEYS |= {"answers_without_search", "passages", "passage_tokens", "rerank"}
PASSAGES, MOST_PASSAGES = 6, 50
WIDER = 3
"""How many times more passages are looked at than shown, so that there are others instead of those that say the same."""
PASSAGE_TOKENS, MOST_TOKENS = 3_000, 100_000


class CatalogError(ValueError):
    """`agents.toml` cannot be used; the message says which entry and why."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One specialised agent. `audience` names the users who may be routed to it; empty means everybody. `deployment` (on
    Azure OpenAI) or `model` (on an OpenAI-compatible server) writes its answers; empty means the desk's own. One that
    `answers_without_search` answers, without sources and saying so, while its documents cannot be searched. For each need
    its model is shown `passages` passages of about `passage_tokens` tokens together, at most; `rerank` lets
    the desk's reranker, where there is one, order them."""

    name: str
    title: str
    description: str
    knowledge_base: Path
    prompt: str = ""
    audience: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    deployment: str = ""
    model: str = ""
    answers_without_search: bool = False
    passages: int = PASSAGES
    passage_tokens: int = PASSAGE_TOKENS
    rerank: bool = True

    @property
    def candidates(self) -> int:
        """Passages that are found for one need, of which `passages` are chosen."""
        return WIDER * self.passages


class AgentCatalog:
    """The agents, in the file's order."""

    def __init__(self, agents: tuple[Agent, ...]) -> None:
        if not agents:
            raise CatalogError("there must be at least one [[agent]]")
        self._agents = {agent.name: agent for agent in agents}
        if len(self._agents) != len(agents):
            raise CatalogError("two agents have the same name")

    @classmethod
    def load(cls, path: Path) -> "AgentCatalog":
        """Reads `agents.toml`; a relative knowledge base is relative to the file. Raises CatalogError."""
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise CatalogError(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path} is not TOML: {error}") from error
        entries = data.get("agent", [])
        if not isinstance(entries, list):
            raise CatalogError(f"{path}: write each agent as [[agent]]")
        return cls(tuple(_agent(path, number, entry) for number, entry in enumerate(entries, 1)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._agents)

    @property
    def all(self) -> tuple[Agent, ...]:
        return tuple(self._agents.values())

    def get(self, name: str) -> Agent:
        """Raises KeyError."""
        return self._agents[name]

    def visible_to(self, username: str) -> tuple[Agent, ...]:
        """The agents that this user may be routed to."""
        return tuple(a for a in self._agents.values() if not a.audience or username in a.audience)


def _agent(path: Path, number: int, entry: dict[str, Any]) -> Agent:
    where = f"{path}, agent {number}"
    unknown = set(entry) - _KEYS
    if unknown:
        raise CatalogError(f"{where}: unknown keys {', '.join(sorted(unknown))}")
    for key in ("name", "title", "description", "knowledge_base"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise CatalogError(f"{where}: `{key}` is missing")
    if not _NAME.fullmatch(entry["name"]):
        raise CatalogError(f"{where}: `name` must be lower-case letters, digits and hyphens")
    for key in ("deployment", "model"):
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise CatalogError(f"{where}: `{key}` must be a name")
    for key in ("answers_without_search", "rerank"):
        if not isinstance(entry.get(key, False), bool):
            raise CatalogError(f"{where}: `{key}` must be true or false")
    for key, most in (("passages", MOST_PASSAGES), ("passage_tokens", MOST_TOKENS)):
        value = entry.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise CatalogError(f"{where}: `{key}` must be a whole number from 1 to {most:,}")
    folder = path.parent / entry["knowledge_base"]
    if not folder.is_dir():
        raise CatalogError(f"{where}: the knowledge base {folder} is not a folder")
    return Agent(
        name=entry["name"],
        title=entry["title"].strip(),
        description=entry["description"].strip(),
        knowledge_base=folder,
        prompt=entry.get("prompt", "").strip(),
        audience=tuple(entry.get("audience", ())),
        examples=tuple(entry.get("examples", ())),
        deployment=entry.get("deployment", "").strip(),
        model=entry.get("model", "").strip(),
        answers_without_search=entry.get("answers_without_search", False),
        passages=entry.get("passages", PASSAGES),
        passage_tokens=entry.get("passage_tokens", PASSAGE_TOKENS),
        rerank=entry.get("rerank", True),
    )
