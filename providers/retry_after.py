"""How long a service asks to be left alone, and not waiting for what would come after the deadline.

    Retry-After       seconds, or a date (RFC 9110 § 10.2.3)
    retry-after-ms    milliseconds, of Azure OpenAI

The SDK honours both before it asks again, but knows of no deadline: a minute's wait would use up the whole patience of a
turn that could have been told at once, or gone to another model. It does obey a response's `x-should-retry`.
"""

import asyncio
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from domain.deadline import deadline

LONGEST = 2**31 - 1
"""Seconds: what every client's integers hold."""
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


async def wait_within_deadline(response: httpx2.Response) -> None:
    """For the event hooks of an httpx2 client that the SDK uses. Nothing is waited for beyond `domain.deadline`."""
    if response.is_success:
        return
    waits = _waits(response.headers)
    if waits and asyncio.get_running_loop().time() + waits[0] >= deadline():
        response.headers["x-should-retry"] = "false"


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds, for people; None when the service does not say, or not understandably."""
    longest = max(map(math.ceil, _waits(headers)), default=None)
    return None if longest is None else min(longest, LONGEST)


def _waits(headers: Mapping[str, str]) -> list[float]:
    """In seconds, and in the SDK's order: it takes the first."""
    milliseconds, seconds = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    waits = []
    if _NUMBER.fullmatch(milliseconds):
        waits.append(float(milliseconds) / 1000)
    if _NUMBER.fullmatch(seconds):
        waits.append(float(seconds))
    elif seconds:
        waits += _until_date(seconds)
    return waits


def _until_date(text: str) -> list[float]:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return []
    wait = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return [wait] if wait > 0 else []
