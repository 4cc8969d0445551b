"""Waiting for what only shows from outside: another program's effects, an object on a server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PATIENCE = 60.0
"""Seconds, generous for a busy machine; a test fails by them and never passes by them."""
PAUSE = 0.1


async def eventually(fact: Callable[[], object | Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Returns once `fact` (plain or async) is true. Raises TimeoutError with the fact's name if it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not await _ask(fact):  # noqa: ASYNC110 (nothing tells when it comes true)
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise TimeoutError(f"{inspect.getsource(fact).strip()} did not come true in {seconds:g} s") from None


async def _ask(fact: Callable[[], object | Awaitable[object]]) -> bool:
    answer = fact()
    return bool(await answer if inspect.isawaitable(answer) else answer)
