"""Reviews at a steady rate, as API servers send them: over new and over open connections, certificate checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Tally:
    """What came of the reviews."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each answer took."""


async def steady(
    url: str, body: bytes, *, rate: float, count: int, trust: Callable[[], ssl.SSLContext], reuse: bool
) -> Tally:
    """Sends `count` reviews, `rate` in a second; `trust` is asked anew for each connection that is opened.

    Without `reuse` every review has a connection of its own. A review that is late delays no other.
    """
    loop, tally = asyncio.get_running_loop(), Tally()
    begun = loop.time()
    connector = aiohttp.TCPConnector(limit=0, force_close=not reuse)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / rate - loop.time()))
            group.create_task(_one(session, url, body, trust(), tally))
    return tally


async def _one(
    session: aiohttp.ClientSession, url: str, body: bytes, context: ssl.SSLContext, tally: Tally
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with session.post(url, data=body, ssl=context) as answer:
            allowed = (await answer.json())["response"]["allowed"]
        tally.seconds.append(loop.time() - begun)
        tally.answered += 1
        if not allowed:
            tally.failures.append("refused")
    except (aiohttp.ClientError, OSError, KeyError, ValueError) as error:
        tally.failures.append(f"{type(error).__name__}: {error}")
