"""Following objects by a watch: one list, one stream, and a wake-up when something changed or the clock moves on.

What the watch has to say of itself (a lost connection, a missing right) is kept as one line for the screen, since a
program that draws must not have its log in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kairos_operator.api.resources import Resource
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.operations import Operation, parse_operation
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store

TICK_SECONDS = 1.0  # how often times on the screen move on; no request goes with it


class Complaint(logging.Handler):
    """The last warning of the watch, until it works again."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage() if record.levelno >= logging.WARNING else ""


@dataclass(slots=True)
class Followed:
    """What is known of the followed objects, kept up to date in the background."""

    stores: list[Store[Operation]]
    complaint: Complaint
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def operations(self) -> list[Operation]:
        """The objects as last seen."""
        return [operation for store in self.stores for operation in store.values()]

    def woken(self, _old: object, _new: object) -> None:
        """Something changed."""
        self._news.set()

    async def changes(self, deadline: float | None, *, ticking: bool) -> AsyncIterator[list[Operation]]:
        """The objects now, and after each change; with `ticking` also once a second.

        Raises Trouble once `deadline` (of the loop's clock) has passed.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            yield self.operations()
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                raise Trouble("not finished within --timeout; it goes on without you", Exit.UNFINISHED)
            waits = [seconds for seconds in (left, TICK_SECONDS if ticking else None) if seconds is not None]
            try:
                async with asyncio.timeout(min(waits, default=None)):
                    await self._news.wait()
            except TimeoutError:
                continue


@asynccontextmanager
async def followed(
    cluster: Cluster, resources: Iterable[Resource], name: str = ""
) -> AsyncIterator[Followed]:
    """Follow one object, or all of the cluster's scope; the first complete lists are in."""
    followed, reflectors = Followed([], Complaint()), []
    for resource in resources:
        store = Store(parse_operation)
        store.subscribe(followed.woken)
        followed.stores.append(store)
        reflectors.append(
            Reflector(
                cluster.client,
                resource,
                store,
                clock=SystemClock(),
                namespace=cluster.namespace if name else cluster.scope,
                field_selector=f"metadata.name={name}" if name else "",
            )
        )
    log = logging.getLogger("kairos_operator")
    log.addHandler(followed.complaint)
    log.propagate = False
    tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors]
    try:
        await _synced(reflectors, followed.complaint)
        yield followed
    finally:
        log.removeHandler(followed.complaint)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


FIRST_LIST_SECONDS = 30.0


async def _synced(reflectors: Iterable[Reflector[Operation]], complaint: Complaint) -> None:
    try:
        async with asyncio.timeout(FIRST_LIST_SECONDS):
            for reflector in reflectors:
                await reflector.synced.wait()
    except TimeoutError:
        raise Trouble(complaint.text or "the cluster sent no list in time", Exit.UNREACHABLE) from None
