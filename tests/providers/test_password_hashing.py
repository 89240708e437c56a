"""Argon2id beside the event loop, a bounded number at a time."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from time import process_time

import argon2
import pytest

from domain.errors import RateLimited
from providers.password_hashing import Argon2Hasher


@pytest.fixture
def hasher() -> Iterator[Argon2Hasher]:
    hasher = Argon2Hasher(threads=2)
    yield hasher
    hasher.close()


def cheap(**options: int) -> Argon2Hasher:
    return Argon2Hasher(memory_kib=8, passes=1, **options)


async def test_hashes_are_argon2id_with_the_documented_parameters(hasher: Argon2Hasher) -> None:
    made = await hasher.hash("a_strong_password")
    parameters = argon2.extract_parameters(made)
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19_456, 2, 1)
    assert argon2.PasswordHasher().verify(made, "a_strong_password"), "as the reference library reads it"
    assert await hasher.hash("a_strong_password") != made, "salted"


@pytest.mark.parametrize("password", ["a_strong_password", "🦊" * 1_024, "nul \0 inside", "\x7f\x85\n", " edges "])
async def test_verifies_the_password_and_no_other(hasher: Argon2Hasher, password: str) -> None:
    made = await hasher.hash(password)
    assert await hasher.verify(password, made)
    assert not await hasher.verify(password[:-1], made)
    assert not await hasher.verify(password + "x", made)
    assert not await hasher.verify("", made)


@pytest.mark.parametrize("kept", [None, "", "!", "$2b$12$abcdefghijklmnopqrstuv", "a_strong_password"])
async def test_without_a_usable_hash_it_is_false_and_costs_a_hash(hasher: Argon2Hasher, kept: str | None) -> None:
    assert not await hasher.verify("a_strong_password", kept)
    usual = await _cpu_seconds(hasher, await hasher.hash("a_strong_password"))
    assert await _cpu_seconds(hasher, kept) > usual / 4


async def _cpu_seconds(hasher: Argon2Hasher, kept: str | None) -> float:
    """The least CPU time of three checks, which load on the machine does not change much."""
    times = []
    for _ in range(3):
        begun = process_time()
        await hasher.verify("another_password", kept)
        times.append(process_time() - begun)
    return min(times)


async def test_hashes_of_other_parameters_are_outdated(hasher: Argon2Hasher) -> None:
    weak = cheap()
    older = await weak.hash("a_strong_password")
    assert hasher.is_outdated(older)
    assert await hasher.verify("a_strong_password", older), "but still good for signing in"
    assert hasher.is_outdated(argon2.PasswordHasher(2, 19_456, 1, type=argon2.Type.I).hash("a_strong_password"))
    assert not hasher.is_outdated(await hasher.hash("a_strong_password"))
    weak.close()


async def test_the_loop_goes_on_while_hashes_are_made(hasher: Argon2Hasher) -> None:
    before = threading.active_count()
    hashing = asyncio.gather(*(hasher.hash("a_strong_password") for _ in range(8)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 50, "the loop stood still"
    assert threading.active_count() - before <= 2


async def test_a_flood_is_refused_instead_of_queued() -> None:
    hasher = Argon2Hasher(threads=1, queue=2)
    outcomes = await asyncio.gather(*(hasher.hash("a_strong_password") for _ in range(5)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert len(refused) == 2
    assert refused[0].details == {"retry_after": 1}
    assert await hasher.verify("a_strong_password", str(outcomes[0])), "there is room again"
    hasher.close()


async def test_a_cancelled_check_gives_its_place_back() -> None:
    hasher = Argon2Hasher(threads=1, queue=0)
    for _ in range(3):
        task = asyncio.create_task(hasher.hash("a_strong_password"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await hasher.hash("a_strong_password")
    hasher.close()


def test_the_hasher_runs_without_a_warning() -> None:
    """In a fresh interpreter, where nothing is imported yet and every warning is an error."""
    program = (
        "import asyncio\nfrom providers.password_hashing import Argon2Hasher\n"
        "async def main():\n    hasher = Argon2Hasher()\n"
        "    print(await hasher.verify('password', await hasher.hash('password')))\nasyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
