"""How late the event loop is: while it is busy with one thing, probes, leases and watches wait.

A task that wants to wake up at fixed times sees by how much each of them was missed. Ten looks a second cost next to
nothing and catch every stall of more than a tenth of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PERIOD_SECONDS = 0.1


async def follow_lag(tell: Callable[[float], None], period: float = PERIOD_SECONDS) -> None:
    """Tell, every `period` seconds until cancelled, by how many seconds the loop was late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period
        await asyncio.sleep(period)
        tell(max(0.0, loop.time() - due))
