"""What clients send, as JSON or as a form. Types are strict ("1" is no number); members nobody asked for are ignored.

Only types are checked here: what a text may be is the domain's to say, for every face alike.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.model import OnBusy


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


_ClientMessageId = Annotated[
    str | None, Field(description="The client's own id: sending it again attaches to the same turn.")
]
_OnBusy = Annotated[
    OnBusy,
    Field(
        strict=False,
        description="While the chat answers another message: be refused, wait for its turn, or stop what runs and waits.",
    ),
]


class Registration(_Body):
    username: str
    email: str
    password: str


class PasswordGrant(BaseModel):
    """OAuth2's password grant (RFC 6749, section 4.3.2). Further OAuth2 fields may be there; they change nothing."""

    username: str
    password: str
    grant_type: Literal["password"] = "password"


class RefreshGrant(_Body):
    refresh_token: str


class NewChatBody(_Body):
    title: str | None = None


class ChatTitle(_Body):
    title: str


class MessageBody(_Body):
    chat_id: int
    message: str
    stream: Annotated[bool, Field(description="Events as they come, or one JSON answer at the end.")] = True
    client_message_id: _ClientMessageId = None
    agents: Annotated[
        list[str] | None, Field(description="Names of agents to ask, instead of letting the router choose.")
    ] = None
    on_busy: _OnBusy = OnBusy.REJECT


class RegenerateBody(_Body):
    client_message_id: _ClientMessageId = None
    on_busy: _OnBusy = OnBusy.REJECT
