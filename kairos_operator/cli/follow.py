"""Following objects by a watch: one list, one stream, and a wake-up when something changed or the clock moves on.

What the watch has to say of itself (a lost connection, a missing right) is kept as one line for the screen, since a
program that draws must not have its log in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from kairos_operator.api.resources import Resource
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.operations import parse_operation
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


@dataclass(frozen=True, slots=True)
class Source:
    """What to follow: a resource, and which objects of it."""

    resource: Resource
    parse: Callable[[Mapping[str, Any]], Any]
    name: str = ""
    label_selector: str = ""


def operation_source(resource: Resource, name: str = "") -> Source:
    """One operation, or all of a kind."""
    return Source(resource, parse_operation, name)


@dataclass(slots=True)
class Followed:
    """What is known of the followed objects, a store for each source, kept up to date in the background."""

    stores: list[Store[Any]]
    complaint: Complaint
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def values(self) -> list[Any]:
        """The objects of all sources as last seen."""
        return [value for store in self.stores for value in store.values()]

    def woken(self, *_change: object) -> None:
        """Something changed."""
        self._news.set()

    async def changes(self, deadline: float | None = None, *, ticking: bool = False) -> AsyncIterator[None]:
        """Yields now, and after each change; with `ticking` also once a second.

        Raises Trouble once `deadline` (of the loop's clock) has passed.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            yield
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
    cluster: Cluster, sources: Iterable[Source], namespace: str | None
) -> AsyncIterator[Followed]:
    """Follow the sources in a namespace, None for all of them; the first complete lists are in."""
    followed, reflectors = Followed([], Complaint()), []
    for source in sources:
        store = Store(source.parse)
        store.subscribe(followed.woken)
        followed.stores.append(store)
        reflectors.append(
            Reflector(
                cluster.client,
                source.resource,
                store,
                clock=SystemClock(),
                namespace=namespace,
                label_selector=source.label_selector,
                field_selector=f"metadata.name={source.name}" if source.name else "",
            )
        )
    with _listening(followed.complaint):
        tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors]
        try:
            await _synced(reflectors, followed.complaint)
            yield followed
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _listening(complaint: Complaint) -> Iterator[None]:
    """The watch's log goes to the complaint, and nowhere else."""
    log = logging.getLogger("kairos_operator")
    before = (log.propagate, log.level)
    log.addHandler(complaint)
    log.propagate = False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(complaint)
        log.propagate = before[0]
        log.setLevel(before[1])


FIRST_LIST_SECONDS = 30.0


async def _synced(reflectors: Iterable[Reflector[Any]], complaint: Complaint) -> None:
    try:
        async with asyncio.timeout(FIRST_LIST_SECONDS):
            for reflector in reflectors:
                await reflector.synced.wait()
    except TimeoutError:
        raise Trouble(complaint.text or "the cluster sent no list in time", Exit.UNREACHABLE) from None
