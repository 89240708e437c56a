"""The people of a soak: each asks in a chat of their own, over all transports, and comes back until the answer is whole.

What goes wrong on the way is what a good client expects: a connection that breaks or a retryable error is tried again
on another worker, with the cursor. Anything else is kept as a refusal, for the checker.
"""

import asyncio
import itertools
import random
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field

import aiohttp

from soak.observations import Ask, Attachment, Follower, Seen
from soak.transports import TRANSPORTS, Lost, Malformed, Refused, Silent, Wanted, call
from soak.upstream import question
from soak.workers import Workers

WHOLE_WITHIN = 90.0
"""Seconds after which a follower that has not seen the last event hangs."""
PAUSE = 0.03
"""Seconds before trying again where nothing came."""


@dataclass
class Tally:
    """What all clients do together."""

    events: int = 0
    reconnects: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    closed_early: int = 0
    _waiting: list[tuple[int, asyncio.Event]] = field(default_factory=list)

    def saw(self) -> None:
        self.events += 1
        for enough, reached in self._waiting:
            if self.events >= enough:
                reached.set()

    async def more_events(self, number: int) -> None:
        """Returns when so many more were seen."""
        waiting = (self.events + number, asyncio.Event())
        self._waiting.append(waiting)
        try:
            await waiting[1].wait()
        finally:
            self._waiting.remove(waiting)


@dataclass(frozen=True, slots=True)
class Whims:
    """What the asker of one turn does after so many events; 0 is never. `leaves` is for good."""

    hangs_up: int = 0
    stops: int = 0
    leaves: int = 0
    has_company: int = 0

    @classmethod
    def of(cls, rng: random.Random) -> "Whims":
        def perhaps(likely: float) -> int:
            return rng.randint(1, 60) if rng.random() < likely else 0

        return cls(perhaps(0.3), perhaps(0.1), perhaps(0.08), perhaps(0.3))


class Person:
    """Asks one question after another. Only one of a person's asks runs at a time, as a chat allows."""

    def __init__(
        self, number: int, token: str, http: aiohttp.ClientSession, workers: Workers, tally: Tally, seed: str
    ) -> None:
        self.asks: list[Ask] = []
        self._number = number
        self._token = token
        self._http = http
        self._workers = workers
        self._tally = tally
        self._rng = random.Random(f"{seed} {number}")
        self._chats: list[int] = []
        self._numbers = itertools.count(1)

    async def ask_until(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            if not self._chats:
                self._chats.append(await self._new_chat())
            ask = await self._ask(self._chats[-1], Whims.of(self._rng))
            while (end := ask.followers[0].last) is not None and end.status == "INTERRUPTED" and not enough.is_set():
                if self._rng.random() < 0.5:
                    break
                ask = await self._ask_again(ask, end.message_id)
            if any(follower.left for follower in ask.followers) and self._rng.random() < 0.5:
                self._chats.append(await self._new_chat())

    async def ask_once_more(self) -> None:
        """In each chat, now that all is calm: every one must be free."""
        for chat_id in self._chats:
            await self._ask(chat_id, Whims(), calm=True)

    async def _ask(self, chat_id: int, whims: Whims, *, calm: bool = False) -> Ask:
        key = f"{self._number}-{next(self._numbers)}"
        ask = Ask(key, chat_id, question(key), time.monotonic(), calm=calm)
        return await self._served(ask, whims)

    async def _ask_again(self, before: Ask, message_id: int) -> Ask:
        """For another answer to a question whose answer was interrupted. It has a key of its own, so it can be sent
        again like a message."""
        key = f"{self._number}-{next(self._numbers)}"
        ask = Ask(key, before.chat_id, before.question, time.monotonic(), again=before)
        while ask.turn_id is None:
            worker = await self._workers.any(self._rng)
            url = f"{worker.url}/api/v1/chat/messages/{message_id}/regenerate"
            try:
                status, said = await call(self._http, "POST", url, self._token, json={"client_message_id": key})
            except Lost:
                await asyncio.sleep(PAUSE)
                continue
            if status == 200:
                ask.turn_id = int(said["id"])
            elif not said["error"]["retryable"] or said["error"]["code"] == "CHAT_BUSY":
                ask.followers.append(Follower("asker", refusals=[f"regenerate: {said['error']['code']}"]))
                self.asks.append(ask)
                return ask
        return await self._served(ask, Whims.of(self._rng))

    async def _served(self, ask: Ask, whims: Whims) -> Ask:
        self.asks.append(ask)
        asker = Follower("asker")
        ask.followers.append(asker)
        company: list[asyncio.Task[None]] = []
        await self._follow(ask, asker, whims, company)
        if company:
            await asyncio.wait(company)
        return ask

    # ------------------------------------------------------------ following to the last event

    async def _follow(self, ask: Ask, follower: Follower, whims: Whims, company: list[asyncio.Task[None]]) -> None:
        """Returns when it saw the last event, left, or gave up."""
        try:
            async with asyncio.timeout(WHOLE_WITHIN):
                came = 0
                while follower.last is None and not follower.left and len(follower.refusals) < 5:
                    came = await self._attach(ask, follower, whims, company, came)
        except TimeoutError:
            follower.refusals.append(f"no last event within {WHOLE_WITHIN:.0f} s")

    async def _attach(
        self, ask: Ask, follower: Follower, whims: Whims, company: list[asyncio.Task[None]], came: int
    ) -> int:
        """One connection. `came` counts the follower's events."""
        worker = await self._workers.any(self._rng)
        by_id = ask.again is not None or (
            ask.turn_id is not None and (follower.name != "asker" or self._rng.random() < 0.5)
        )
        name = self._rng.choice(tuple(TRANSPORTS))
        after = 0 if name == "REST" and not by_id else follower.cursor
        wanted = Wanted(self._token, ask.chat_id, ask.question, ask.key, ask.turn_id if by_id else None, after)
        attachment = Attachment(name, after)
        if follower.attachments:
            self._tally.reconnects[name] += 1
        follower.attachments.append(attachment)
        before = came
        try:
            async with aclosing(TRANSPORTS[name](self._http, worker.url, wanted)) as events:
                async for seen in events:
                    attachment.seen.append(seen)
                    self._tally.saw()
                    came += 1
                    if ask.turn_id is None:
                        ask.turn_id = seen.turn_id
                    if self._goes(ask, follower, whims, company, came, seen):
                        return came
            if follower.last is None:
                self._tally.closed_early += 1
        except Lost:
            pass
        except Silent:
            follower.silent += 1
        except Malformed as error:
            follower.refusals.append(f"malformed: {error}")
        except Refused as error:
            await self._refused(ask, follower, error)
        if came == before:
            await asyncio.sleep(PAUSE)
        return came

    def _goes(
        self, ask: Ask, follower: Follower, whims: Whims, company: list[asyncio.Task[None]], came: int, seen: Seen
    ) -> bool:
        """Whether the follower hangs up now."""
        if came == whims.has_company:
            friend = Follower("company")
            ask.followers.append(friend)
            hangs_up = Whims(hangs_up=self._rng.randint(1, 80))
            company.append(asyncio.create_task(self._follow(ask, friend, hangs_up, company)))
        if came == whims.stops:
            ask.stop_asked = True
            company.append(asyncio.create_task(self._stop(seen.turn_id)))
        if came == whims.leaves:
            follower.left = True
        return follower.left or came == whims.hangs_up

    async def _refused(self, ask: Ask, follower: Follower, error: Refused) -> None:
        if error.retryable and error.code != "CHAT_BUSY":
            self._tally.retried[error.code] += 1
            return
        earlier = next((a for a in self.asks if a.turn_id is not None and a.turn_id == error.turn_id), None)
        if error.code == "CHAT_BUSY" and earlier is not None and any(f.left for f in earlier.followers):
            self._tally.retried["CHAT_BUSY"] += 1
            back = Follower("comes back")
            earlier.followers.append(back)
            await self._follow(earlier, back, Whims(), [])
            return
        follower.refusals.append(f"{error.code} (turn {error.turn_id})")

    # ------------------------------------------------------------ the rest

    async def _stop(self, turn_id: int) -> None:
        """Asks until somebody answers; what the answer is, the stored turn tells."""
        for _ in range(100):
            worker = await self._workers.any(self._rng)
            try:
                url = f"{worker.url}/api/v1/chat/turns/{turn_id}/stop"
                status, _ = await call(self._http, "POST", url, self._token)
            except Lost:
                await asyncio.sleep(PAUSE)
                continue
            if status == 200:
                return
            self._tally.retried[f"stop: {status}"] += 1

    async def _new_chat(self) -> int:
        """Not through the proxies: a new chat has no key, and one that is made twice says nothing."""
        while True:
            worker = await self._workers.any(self._rng)
            try:
                status, chat = await call(self._http, "POST", f"{worker.direct}/api/v1/chat/new-chat", self._token)
            except Lost:
                await asyncio.sleep(PAUSE)
                continue
            if status == 201:
                return int(chat["chat_id"])
            self._tally.retried[f"new chat: {status}"] += 1


async def signed_up(http: aiohttp.ClientSession, base: str, name: str) -> str:
    """An access token."""
    account = {"username": name, "email": f"{name}@example.com", "password": "a_strong_password"}
    status, said = await call(http, "POST", f"{base}/api/v1/auth/register", json=account)
    if status != 201:
        raise RuntimeError(f"cannot register: {status} {said}")
    form = {"username": name, "password": "a_strong_password"}
    _, grant = await call(http, "POST", f"{base}/api/v1/auth/token", data=form)
    return str(grant["access_token"])
