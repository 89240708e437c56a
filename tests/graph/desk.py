"""A desk for the tests of the GraphQL face: the real domain over SQLite on a real server, with a scripted workflow.

async with open_desk(tmp_path) as desk:
    desk.workflow = held
    answer = await desk.ask("{ agents { name } }", token=token)
"""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.logins import SqlLoginStore
from db.messages import SqlMessageStore
from db.queue import SqlQueueStore
from db.turns import SqlTurnStore
from domain.accounts import Accounts
from domain.agents.catalog import AgentCatalog
from domain.agents.state import Draft, TurnContext
from domain.chats import Chats
from domain.followers import Followers
from domain.library import Library
from domain.model import Route, Source, Span, Usage
from domain.places import PlaceLimits
from domain.ports import Retriever
from domain.queue import TurnQueue
from domain.runner import TurnLimits, TurnRunner, Workflow
from domain.services import Services
from domain.streams import OpenStreams
from domain.tokens import Tokens, TokenSecrets
from domain.turns import Turns
from frames import Frames
from graph.view import create_graphql
from providers.embedded_search import EmbeddedSearch
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals
from providers.password_hashing import Argon2Hasher
from providers.rate_limits import WindowRateLimiter
from settings import Settings

HOUSE = Path(__file__).resolve().parents[2]
PASSWORD = "a_strong_password"
PIECES = ("Nano ", "costs ", "$9 a month [1]", ".")
TEXT = "".join(PIECES)


def source(message_id: int, spans: tuple[Span, ...] = ()) -> Source:
    return Source(
        message_id, 1, "pricing", "plans.md#nano", "Plans", "https://taxgenii.example/pricing/", "Nano: $9", 0.5, spans
    )


async def answers(context: TurnContext) -> Draft:
    """Writes TEXT with one source."""
    recorder = context.recorder
    recorder.route_chosen([Route("pricing", 0.9, "asks for a price")], context.question.text)
    for piece in PIECES[:2]:
        recorder.delta(piece)
    recorder.sources_found([source(context.answer.id)])
    for piece in PIECES[2:]:
        recorder.delta(piece)
    return Draft(TEXT, (source(context.answer.id, (Span(21, 24),)),), Usage(7, 4), "scripted")


class Held:
    """Writes the first piece, then waits until `release`, then the rest."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, context: TurnContext) -> Draft:
        context.recorder.route_chosen([Route("gone-agent", 0.4, "was asked before it left")], context.question.text)
        context.recorder.delta(PIECES[0])
        await self.release.wait()
        context.recorder.delta("".join(PIECES[1:]))
        return Draft(TEXT)


class Announcing(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@dataclass
class Desk:
    url: str
    services: Services
    database: Database
    streams: OpenStreams
    http: httpx.AsyncClient
    retriever: Retriever
    workflow: Workflow = answers
    token_age: timedelta = timedelta()
    """How old the tokens are that are issued from now on; at an hour they have expired."""

    @property
    def websocket(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def post(self, body: Any = None, token: str | None = None, **options: Any) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        return await self.http.post(self.url, json=body, headers=headers, **options)

    async def ask(self, query: str, variables: Any = None, token: str | None = None) -> dict[str, Any]:
        response = await self.post({"query": query, "variables": variables}, token)
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, query: str, variables: Any = None, token: str | None = None) -> Any:
        """Fails when there are errors."""
        answer = await self.ask(query, variables, token)
        assert "errors" not in answer, answer
        return answer["data"]

    async def sign_up(self, name: str = "ada") -> str:
        """A new account's access token."""
        grant = await self.services.accounts.sign_up(name, f"{name}@example.test", PASSWORD, address="127.0.0.1")
        return grant.access_token

    async def nothing_is_open(self) -> None:
        """Returns when no stream and no socket is. Fails when some stay."""
        async with asyncio.timeout(10):
            while self.streams._ends or self.streams.places.taken:
                await asyncio.sleep(0.01)

    async def new_chat(self, token: str) -> str:
        """A new chat's global id."""
        viewer = await self.services.accounts.authenticate(token)
        return global_id("ChatSession", (await self.services.chats.create(viewer)).id)


def global_id(kind: str, key: object) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def code_of(answer: dict[str, Any]) -> str:
    """The code of an answer's only error."""
    (error,) = answer["errors"]
    return str(error["extensions"]["code"])


@asynccontextmanager
async def open_desk(database_url: str, settings: Settings) -> AsyncIterator[Desk]:
    catalog = AgentCatalog.load(HOUSE / "agents.toml")
    signals, log = MemorySignals(), MemoryTurnLog(60)
    hasher = Argon2Hasher(memory_kib=64, passes=1)
    limiter = WindowRateLimiter({"login": "1000/minute", "register": "1000/minute", "send": "1000/minute"})
    limits = TurnLimits(lease=timedelta(seconds=30), deadline=timedelta(seconds=20))
    tokens = Tokens(TokenSecrets(b"s" * 32, b"e" * 32), clock=lambda: datetime.now(UTC) - desk.token_age)
    # one connection, so that nothing passes which holds on to it
    async with Database.open(database_url, pool_size=1) as database:
        turn_store, messages = SqlTurnStore(database), SqlMessageStore(database)

        async def scripted(context: TurnContext) -> Draft:
            return await desk.workflow(context)

        runner = TurnRunner(scripted, turn_store, log, signals, limits)
        places = PlaceLimits(
            settings.max_streams_per_user, settings.max_streams_per_address, settings.max_sockets_per_address
        )
        streams, retriever = OpenStreams(signals, places), EmbeddedSearch(settings.data_dir / "index")
        queue = TurnQueue(SqlQueueStore(database), log, runner, catalog)
        turns = Turns(turn_store, Followers(turn_store, log, streams), signals, runner, queue, catalog, limiter)
        accounts = Accounts(SqlAccountStore(database), SqlLoginStore(database), hasher, limiter, signals, tokens)
        chats = Chats(SqlChatStore(database), messages, turns.stop)
        services = Services(accounts, chats, turns, catalog, streams, Library(catalog, retriever))
        app = Starlette(routes=create_graphql(lambda: services, settings).routes)
        async with _served(app) as url, httpx.AsyncClient(timeout=20, trust_env=False) as http:
            desk = Desk(f"{url}/graphql", services, database, streams, http, retriever)
            yield desk
        await queue.close()
        await runner.close()
        await log.close()
        hasher.close()


@asynccontextmanager
async def _served(app: Starlette) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws=Frames,
            ws_per_message_deflate=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        server = Announcing(config)
        task = asyncio.create_task(server.serve([listener]))
        await server.up.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task
