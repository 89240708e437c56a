"""The only wiring place: settings become adapters, adapters become services, services become faces.

`create_app(settings)` gives the ASGI application; `uvicorn server:app` finds it as `app`, made on first access so that
importing this module has no effects.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import heap
from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.logins import SqlLoginStore
from db.messages import SqlMessageStore
from db.queue import SqlQueueStore
from db.summaries import SqlSummaryStore
from db.turns import SqlTurnStore
from domain.accounts import Accounts
from domain.agents.catalog import AgentCatalog
from domain.agents.picking import PickingModel
from domain.agents.summaries import Summaries
from domain.chats import Chats
from domain.errors import DeskError
from domain.followers import Followers
from domain.library import Library
from domain.places import PlaceLimits
from domain.ports import RateLimiter, Retriever, Signals
from domain.queue import TurnQueue
from domain.runner import TurnLimits, TurnRunner
from domain.services import Services
from domain.streams import OpenStreams
from domain.tokens import Tokens
from domain.turns import Turns
from drain import Deadlines, Drain
from graph.view import create_graphql
from health import Checked, health_routes
from live_body import serve_app
from logs import configure_logs
from models import Models, answer_workflow, choose_models
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals
from providers.password_hashing import Argon2Hasher
from providers.rate_limits import RedisRateLimiter, WindowRateLimiter
from providers.secrets import token_secrets
from rest.app import create_rest
from search import ingest, open_retriever
from settings import Settings

if TYPE_CHECKING:  # `_open_log` imports it where there is a Redis
    from providers.redis_log import RedisTurnLog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that runs, for one event loop."""

    settings: Settings
    services: Services
    retriever: Retriever
    models: Models
    database: Database
    runner: TurnRunner
    turn_log: "MemoryTurnLog | RedisTurnLog"

    @property
    def choices(self) -> dict[str, str]:
        """Which adapters the settings chose, in words."""
        return {
            "model": self.models.answers.state,
            "decisions": "embedded" if self.models.decides is None else self.models.decides.state,
            "search": self.retriever.name,
            **({"reranking": self.models.reranks.name} if self.models.reranks else {}),
            "database": self.database.name,
            "turn_log": self.turn_log.name,
        }

    @property
    def parts(self) -> Mapping[str, Checked]:
        shared = {} if isinstance(self.turn_log, MemoryTurnLog) else {"redis": self.turn_log}
        return {"database": self.database, "search": self.retriever, **shared}

    @property
    def draining(self) -> bool:
        return self.runner.draining


@asynccontextmanager
async def _open_limiter(settings: Settings) -> AsyncIterator[RateLimiter]:
    """Counts in Redis where there is one, else in this process."""
    rules = {
        "login": settings.rate_limit_login,
        "register": settings.rate_limit_register,
        "send": settings.rate_limit_send,
    }
    if settings.redis_url is None:
        yield WindowRateLimiter(rules)
        return
    limiter = RedisRateLimiter(
        rules, settings.redis_url.get_secret_value(), key_prefix=f"{settings.redis_prefix}:limits"
    )
    try:
        yield limiter
    finally:
        await limiter.close()


@asynccontextmanager
async def _open_log(settings: Settings) -> "AsyncIterator[tuple[MemoryTurnLog | RedisTurnLog, Signals]]":
    """The turn log and the signals: in Redis where there is one, else in this process."""
    if settings.redis_url is None:
        memory = MemoryTurnLog(settings.turn_log_linger_seconds)
        try:
            yield memory, MemorySignals()
        finally:
            await memory.close()
        return
    from providers.redis_log import RedisTurnLog
    from providers.redis_signals import RedisSignals

    url, prefix = settings.redis_url.get_secret_value(), settings.redis_prefix
    log = RedisTurnLog(url, prefix, settings.turn_log_linger_seconds, settings.turn_lease_seconds)
    signals = RedisSignals(url, prefix)
    await signals.start()
    try:
        yield log, signals
    finally:
        await signals.close()
        await log.close()


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Wires everything up, and takes it down in the opposite order."""
    async with AsyncExitStack() as stack:
        catalog = AgentCatalog.load(settings.agents_file)
        database = await stack.enter_async_context(Database.open(settings.database, settings.database_pool_size))
        retriever = await stack.enter_async_context(open_retriever(settings, catalog))
        models = choose_models(settings, catalog)
        stack.push_async_callback(models.close)
        hasher = Argon2Hasher()
        stack.callback(hasher.close)
        log, signals = await stack.enter_async_context(_open_log(settings))
        limiter = await stack.enter_async_context(_open_limiter(settings))
        turn_store, messages = SqlTurnStore(database), SqlMessageStore(database)
        limits = TurnLimits(
            settings.max_concurrent_turns,
            timedelta(seconds=settings.turn_lease_seconds),
            timedelta(seconds=settings.turn_deadline_seconds),
            settings.max_answer_characters,
            settings.max_waiting_turns,
        )
        picker = PickingModel(models.decider) if models.decider else None
        summaries = Summaries(SqlSummaryStore(database), picker)
        stack.push_async_callback(summaries.close)
        workflow = answer_workflow(settings, messages, retriever, catalog, models, summaries)
        runner = TurnRunner(workflow, turn_store, log, signals, limits)
        stack.push_async_callback(runner.close, Deadlines.of(settings.shutdown_seconds).step)
        places = PlaceLimits(
            settings.max_streams_per_user, settings.max_streams_per_address, settings.max_sockets_per_address
        )
        streams = OpenStreams(signals, places)
        queue = TurnQueue(SqlQueueStore(database), log, runner, catalog)
        stack.push_async_callback(queue.close)
        followers = Followers(turn_store, log, streams)
        turns = Turns(turn_store, followers, signals, runner, queue, catalog, limiter)
        tokens = Tokens(token_secrets(settings), settings.jwt_algorithm, settings.jwt_access_token_expire_minutes)
        logins = SqlLoginStore(database)
        if settings.redis_url is not None:  # others end logins too, and cannot say so while Redis is away
            stack.push_async_callback(_end, asyncio.create_task(streams.look_for_ended(logins)))
        accounts = Accounts(
            SqlAccountStore(database),
            logins,
            hasher,
            limiter,
            signals,
            tokens,
            timedelta(days=settings.refresh_token_expire_days),
        )
        chats = Chats(SqlChatStore(database), messages, turns.stop)
        services = Services(accounts, chats, turns, catalog, streams, Library(catalog, retriever))
        stack.push_async_callback(_end, asyncio.create_task(_sweep(queue, limits.lease)))
        yield Desk(settings, services, retriever, models, database, runner, log)


async def _sweep(queue: TurnQueue, lease: timedelta) -> None:
    """Ends the turns of workers that died, and takes up those that waited there, for as long as this one lives."""
    while True:
        try:
            await queue.take_up()
        except DeskError as failure:
            _log.warning("sweep_failed", code=failure.code)
        await asyncio.sleep(lease.total_seconds() / 2)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def create_app(settings: Settings) -> Starlette:
    """The whole server: /graphql, /api/v1, /healthz and /readyz."""
    heap.use_one_arena()
    rest = create_rest(lambda: app.state.desk.services, settings)
    graphql = create_graphql(lambda: app.state.desk.services, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_desk(settings) as desk:
            await desk.database.require_migrated()
            if not settings.azure_search_endpoint:
                await ingest(desk.services.agents, desk.retriever)
                if examples := [text for agent in desk.services.agents.all for text in agent.examples]:
                    # Or the first question waits for their vectors.
                    await desk.retriever.likeness(examples[0], examples)
            app.state.desk = desk
            heap.settle()
            _log.info("ready", **desk.choices)
            deadlines = Deadlines.of(settings.shutdown_seconds)
            with Drain(desk.runner, desk.services.streams, deadlines).before_signals():
                yield

    app = _Server(
        routes=[  # looked for in this order
            Mount("/api/v1", rest),
            *graphql.routes,
            *health_routes(lambda: app.state.desk),
        ],
        middleware=_cors(settings.cors_origins),
        lifespan=lifespan,
    )
    return app


class _Server(Starlette):
    """Its sockets go straight to whom their routes name: middleware and routing are for HTTP here, and would be held for
    as long as a socket is open."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve_app(super().__call__, scope, receive, _until_closed(send))
            return
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        serve = self._sockets.get(path, super().__call__) if scope["type"] == "websocket" else super().__call__
        await serve(scope, receive, send)

    @cached_property
    def _sockets(self) -> Mapping[str, ASGIApp]:
        return {route.path: route.app for route in self.routes if isinstance(route, WebSocketRoute)}


def _until_closed(send: Send) -> Send:
    """Ignores what is sent over a connection that has just been closed, as uvicorn does a moment later: uvloop raises
    in between, where a client sends nonsense behind a request that is still being answered."""

    async def send_until_closed(message: Message) -> None:
        try:
            await send(message)
        except RuntimeError as error:
            if not str(error).endswith("the handler is closed"):
                raise

    return send_until_closed


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    """Lets pages of these origins call both faces. Nothing is sent with a cookie, so no credentials are allowed."""
    if not origins:
        return []
    methods = ("DELETE", "GET", "PATCH", "POST", "PUT")
    told = ("Retry-After", "WWW-Authenticate", "X-Request-ID")
    return [
        Middleware(CORSMiddleware, origins, allow_methods=methods, allow_headers=("*",), expose_headers=told),
    ]


def __getattr__(name: str) -> Any:
    if name == "app":
        settings = Settings()
        configure_logs(settings.log_level, settings.log_format)
        globals()["app"] = made = create_app(settings)
        return made
    raise AttributeError(f"module 'server' has no attribute {name!r}")
