"""One watch of one replica: the store's events in order, late by a changing delay, until the weather ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from kairos_operator.runtime.client import Added, Bookmark, Deleted, Modified, WatchEvent
from kairos_operator.runtime.errors import ApiError, Gone, Unreachable, from_status
from tests.sandbox.store import StatusError, Watch
from tests.sim.clockwork import ProcessLoop
from tests.sim.cluster import Cluster, Object
from tests.sim.weather import WatchFault, Weather

SILENCE = 120.0  # seconds without a byte after which the client gives a watch up
_TYPES: Mapping[str, Callable[[Object], WatchEvent]] = {
    "ADDED": Added,
    "MODIFIED": Modified,
    "DELETED": Deleted,
}


class Stream:
    """Events on their way from the server to one reflector."""

    def __init__(
        self, caller: str, plural: str, watch: Watch, loop: ProcessLoop, cluster: Cluster, weather: Weather
    ) -> None:
        self._id = f"{caller} {plural}"
        self._watch = watch
        self._loop = loop
        self._cluster = cluster
        self._weather = weather
        self._arrived: list[list[WatchEvent]] = []
        self._ended: ApiError | None = None
        self._over = False
        self._stalled = False
        self._waiter: asyncio.Future[None] | None = None
        self._scheduled = False
        self._last_delivery = 0.0
        fault, seconds, self._usual_lag = weather.of_watch(caller, plural)
        if cluster.now >= weather.calm_from:
            fault, seconds = None, max(seconds, 240.0)
        self._fault = fault
        watch.on_event = self._news
        cluster.timeline.after(seconds, self._end)
        self._news()

    async def next(self) -> list[WatchEvent] | None:
        """The next events; None once the server has closed the watch. Raises ApiError."""
        while not self._arrived:
            if self._over:
                if self._ended is not None:
                    raise self._ended
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._arrived.pop(0)

    def close(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self._watch.on_event = None
        self._watch.close()

    def _news(self) -> None:
        if self._scheduled or self._over or self._stalled:
            return
        self._scheduled = True
        lag = self._weather.lag(self._cluster.now, self._id, self._usual_lag)
        self._cluster.timeline.after(lag, self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._over or self._stalled:
            return
        if self._loop.dead:
            self.close()
            return
        try:
            events = self._watch.poll()
        except StatusError as gone:
            self._finish(from_status(gone.code, gone.status))
            return
        if events:
            self._arrived.append([_TYPES[event.type](event.object) for event in events])
            self._wake()

    def _end(self) -> None:
        if self._over:
            return
        if self._loop.dead:
            self.close()
            return
        if self._fault is None or self._fault is WatchFault.CLOSE:
            self._say_farewell()
            self._finish(None)
        elif self._fault is WatchFault.CUT:
            self._finish(Unreachable("the watch was cut"))
        elif self._fault is WatchFault.GONE:
            self._finish(Gone(410, "Expired", "too old resource version"))
        else:
            self._stalled = True
            self._cluster.timeline.after(SILENCE, lambda: self._finish(Unreachable("the watch fell silent")))

    def _say_farewell(self) -> None:
        """What is still on its way, and a bookmark, as before an orderly end."""
        try:
            events: list[WatchEvent] = [_TYPES[event.type](event.object) for event in self._watch.poll()]
        except StatusError:
            return
        version = self._watch.bookmark().object["metadata"]["resourceVersion"]
        self._arrived.append([*events, Bookmark(str(version))])

    def _finish(self, error: ApiError | None) -> None:
        if not self._over:
            self._ended = error
            self.close()
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done() and not self._loop.dead:
            waiter.set_result(None)
