"""Keeps a store in step with one resource: list, then watch from there, for as long as the program runs.

Rules:
- a watch that ends (closed, cut, silent, refused) goes on from the last version seen, bookmarks included;
- a version that the server no longer knows (410) means a new list, never the same version again;
- so do several failures in a row without any event between them, whatever they say;
- the store is never emptied meanwhile: after the new list, what vanished is announced as deleted;
- failures wait with a growing, jittered back-off that starts anew after progress;
- a missing right (403) is said once, in a sentence, and tried again: rights can be granted later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.backoff import Backoff
from kairos_operator.runtime.client import Bookmark, Client, Deleted, WatchEvent
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, Gone
from kairos_operator.runtime.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

FAILURES_BEFORE_LIST = 5
LONG_WATCH = 30.0  # seconds: a watch that lasted so long was fine, even if nothing happened in it


class Reflector(Generic[T]):
    """Fills `store` with the objects of `resource` that the selectors name; start `run` as a task.

    `synced` is set after the first complete list and stays set. `on_restart` is told why each watch (or
    list) ended: "closed" by the server, or the reason of the error.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        store: Store[T],
        *,
        clock: Clock,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        backoff: Backoff | None = None,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._store = store
        self._clock = clock
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._backoff = backoff or Backoff(0.5, 30.0)
        self._on_restart = on_restart
        self._version = ""
        self._said = ""  # the last complaint, until it works again
        self._idle = True  # the current watch has shown no sign of life yet
        self.synced = asyncio.Event()

    @property
    def resource(self) -> Resource:
        """What this reflector follows."""
        return self._resource

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch(self._version)
            except ApiError as error:
                self._count(error.reason or type(error).__name__)
                self._after_failure(error)
                await self._clock.sleep(max(self._backoff.delay(), error.retry_after or 0.0))
            else:
                self._count("closed")
                # a server that takes watches and closes them at once is to be spared as well
                if self._idle:
                    await self._clock.sleep(self._backoff.delay())

    async def _list(self) -> None:
        asked = self._clock.monotonic()
        listing = await self._client.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._store.replace(listing.items, listing.resource_version)
        self._version = listing.resource_version
        self._store.heard = asked
        self.synced.set()

    async def _watch(self, since: str) -> None:
        """Follow the events after a version until the watch ends."""
        events = self._client.watch(
            self._resource,
            self._namespace,
            resource_version=since,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._idle = True
        started = self._clock.monotonic()
        try:
            async with aclosing(events) as stream:  # type: ignore[type-var]  # ours are all async generators
                async for event in stream:
                    self._progressed()
                    self._take_in(event)
                    del event  # the next one may be long in coming, and this one is megabytes
        finally:
            if self._clock.monotonic() - started >= LONG_WATCH:
                self._progressed()

    def _progressed(self) -> None:
        self._idle = False
        self._backoff.forget()
        if self._said:
            log.info("following %s again", self._resource.plural)
            self._said = ""

    def _take_in(self, event: WatchEvent) -> None:
        if isinstance(event, Bookmark):
            version = event.resource_version
        else:
            version = str(event.obj["metadata"]["resourceVersion"])
            if isinstance(event, Deleted):
                self._store.deleted(event.obj)
            else:
                self._store.observed(event.obj)
        self._version = version
        self._store.advance(version)
        self._store.heard = self._clock.monotonic()

    def _after_failure(self, error: ApiError) -> None:
        failures = self._backoff.failures() + 1
        if isinstance(error, Gone) or failures % FAILURES_BEFORE_LIST == 0:
            self._version = ""
        said = f"{type(error).__name__}: {error.message}"
        if said == self._said:
            return  # once is enough until it works again
        self._said = said
        level = logging.INFO if isinstance(error, Gone) else logging.WARNING
        log.log(
            level,
            "cannot follow %s for now, and will keep trying: %s",
            self._resource.plural,
            error.message,
            extra={"reason": error.reason, "status": error.status},
        )

    def _count(self, reason: str) -> None:
        if self._on_restart is not None:
            self._on_restart(reason)
