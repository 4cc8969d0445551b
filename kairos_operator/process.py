"""The operator process: a replica is started in order and ended in order.

Told to end, a replica gives the lease back, so that another leads at once, and is unready from then on; but it answers
reviews for some seconds yet: the API server sends them until every node has heard that this pod is not there any more.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from kairos_operator.operator import GRACE_SECONDS, Operator
from kairos_operator.runtime.errors import NotLeader
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.lag import follow_lag
from kairos_operator.settings import Settings

log = logging.getLogger(__name__)

REVIEW_SECONDS = (
    5.0  # from being told to end; with all else that an end may take, less than the pod's grace period
)


async def run(settings: Settings) -> int:
    """Run one replica until SIGTERM or SIGINT; returns the exit code."""
    api = await Kr8sApi.connect(settings.kubeconfig, settings.context)
    told = asyncio.Event()
    try:
        operator = Operator.assemble(settings, api)
        async with served(operator, told):
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, told.set)
            return await run_until(told, operator, REVIEW_SECONDS if settings.behind_service else 0.0)
    finally:
        await api.close()


async def run_until(told: asyncio.Event, operator: Operator, review_seconds: float) -> int:
    """Run the replica until it is told to end, and stay for `review_seconds` from then on, with everything but the
    lease; returns the exit code.
    """
    parts = [operator.recorder.run(), operator.endpoints.keep(), follow_lag(operator.metrics.count_lag)]
    parts += [reflector.run() for reflector in operator.reflectors]
    background = [asyncio.create_task(one) for one in parts]
    if operator.admission is not None:
        background.append(asyncio.create_task(operator.admission.keep()))
    leading, asked = asyncio.create_task(operator.lead()), asyncio.create_task(told.wait())
    try:
        await asyncio.wait({leading, asked, *background}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return _ended_early([leading, *background])
        log.info("told to end; finishing what is under way")
        stay = asyncio.create_task(asyncio.sleep(review_seconds))
        operator.controller.stop()
        await asyncio.wait({leading}, timeout=GRACE_SECONDS if operator.controller.running else 0.0)
        await _cancelled([leading])
        await asyncio.wait({stay, *background}, return_when=asyncio.FIRST_COMPLETED)
        return 0
    finally:
        await _cancelled([leading, asked, *background])


def _ended_early(tasks: Iterable[asyncio.Task[Any]]) -> int:
    """Something that should go on for ever has ended: the process ends too, and is started anew."""
    for task in tasks:
        if task.done() and not task.cancelled():
            error = task.exception()
            if isinstance(error, NotLeader):
                log.error("%s; ending, to start anew as a follower", error)
            elif error is not None:
                log.error("a part of the operator ended; ending", exc_info=error)
    return 1


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def served(operator: Operator, told: asyncio.Event) -> AsyncIterator[None]:
    """Everything that this replica serves; it is not ready any more once it is `told` to end."""
    ready = {"caches": operator.unsynced, "end": lambda: "told to end" if told.is_set() else ""}
    async with AsyncExitStack() as stack:
        if operator.admission is not None:
            await stack.enter_async_context(operator.admission.serving())
            ready["webhooks"] = operator.admission.unready
        await stack.enter_async_context(operator.endpoints.serving({"ping": lambda: ""}, ready))
        yield
