"""Virtual time for a whole cluster, and one event loop for each operator process in it.

Rules:
- time passes only from one scheduled event to the next; two runs of the same events are the same run;
- each operator process has a loop of its own, so it can be killed (never run again, no `finally` of it runs) or frozen
  (its timers fall due, and wait) at any moment, as SIGKILL and SIGSTOP do it;
- a process that keeps running callbacks without time passing is a failure of its own: a busy loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

BUSY = 200_000  # callbacks of one process within one instant


class BusyLoop(Exception):
    """A process works without end while no time passes."""


class Timeline:
    """What happens when, in seconds from the start of the simulation."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loops: list[ProcessLoop] = []
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Have `what` done at a time; at the present one if that has passed."""
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Have `what` done so many seconds from now."""
        self.at(self.now + seconds, what)

    def step(self, until: float) -> bool:
        """Do what is due next, unless it is due after `until`; False if there was nothing to do by then."""
        if not self._due or self._due[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, what = heapq.heappop(self._due)
        what()
        for loop in tuple(self.loops):
            loop.run_ready()
        return True


class ProcessLoop:
    """The event loop of one process: the part of asyncio's interface that tasks, futures and timeouts use."""

    def __init__(self, timeline: Timeline) -> None:
        self.dead = False
        self.frozen = False
        self.complaints: list[dict[str, Any]] = []
        self._timeline = timeline
        self._ready: deque[asyncio.Handle] = deque()
        self._running = False
        self.as_asyncio: Any = self  # for the places where asyncio's types ask for more than asyncio does
        timeline.loops.append(self)

    def time(self) -> float:
        return self._timeline.now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self.as_asyncio, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._timeline.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self.as_asyncio, context)
        self._timeline.at(when, lambda: self._ready.append(handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when they fall due."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.as_asyncio)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self.as_asyncio, name=name, context=context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def run_ready(self) -> None:
        """Run what is ready, and what that makes ready, within this instant; nothing of a dead or frozen process."""
        if not self._ready or self.frozen or self.dead:
            return
        self._running = True
        asyncio._set_running_loop(self.as_asyncio)
        try:
            for _ in range(BUSY):
                if not self._ready or self.frozen or self.dead:
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            raise BusyLoop(f"{BUSY} callbacks at {self._timeline.now:.3f} s")
        finally:
            asyncio._set_running_loop(None)
            self._running = False

    def kill(self) -> None:
        """End the process here and now."""
        self.dead = True
        if self in self._timeline.loops:
            self._timeline.loops.remove(self)

    def begin(self, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task from outside of the loop."""
        return self.create_task(main)
