"""What the faces are given: the whole domain in one hand."""

from dataclasses import dataclass

from domain.accounts import Accounts
from domain.agents.catalog import AgentCatalog
from domain.chats import Chats
from domain.library import Library
from domain.streams import OpenStreams
from domain.turns import Turns


@dataclass(frozen=True, slots=True)
class Services:
    accounts: Accounts
    chats: Chats
    turns: Turns
    agents: AgentCatalog
    streams: OpenStreams
    library: Library
