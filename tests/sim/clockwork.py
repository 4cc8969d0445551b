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
from functools import partial
from typing import Any

BUSY = 200_000  # callbacks of one process within one instant
CROWD = 64  # tasks of one process after which those that have ended are forgotten


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


class Handle:
    """A callback that a loop is to run, unless it is cancelled before: a lighter asyncio.Handle."""

    __slots__ = ("args", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context

    def cancel(self) -> None:
        """Have it never run."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will never run."""
        return self.callback is None


class Timer(Handle):
    """A callback that a loop is to run at a time; passed over when it falls due, if it is cancelled by then."""

    __slots__ = ("_when",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        super().__init__(callback, args, context)
        self._when = when

    def when(self) -> float:
        """When it falls due, in the loop's time."""
        return self._when


class ProcessLoop:
    """The event loop of one process: the part of asyncio's interface that tasks, futures and timeouts use."""

    def __init__(self, timeline: Timeline) -> None:
        self.dead = False
        self.frozen = False
        self.complaints: list[dict[str, Any]] = []
        self._timeline = timeline
        self._ready: deque[Handle] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self._crowd = CROWD
        self._running = False
        self.as_asyncio: Any = self  # for the places where asyncio's types ask for more than asyncio does
        timeline.loops.append(self)

    def time(self) -> float:
        return self._timeline.now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        return self.call_at(self._timeline.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Timer:
        timer = Timer(when, callback, args, context)
        self._timeline.at(when, partial(self._ready.append, timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.as_asyncio)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self.as_asyncio, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._crowd:
            self._tasks = self.unfinished()
            self._crowd = CROWD + 2 * len(self._tasks)
        return task

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, oldest first."""
        return [task for task in self._tasks if not task.done()]

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
        ready = self._ready
        try:
            for _ in range(BUSY):
                if not ready or self.frozen or self.dead:
                    return
                handle = ready.popleft()
                if handle.callback is not None:
                    self._run(handle.callback, handle)
            raise BusyLoop(f"{BUSY} callbacks at {self._timeline.now:.3f} s")
        finally:
            asyncio._set_running_loop(None)
            self._running = False

    def _run(self, callback: Callable[..., object], handle: Handle) -> None:
        try:
            handle.context.run(callback, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # as asyncio's loops: its fault is not the others'
            self.call_exception_handler({"message": f"an exception in {callback!r}", "exception": error})

    def kill(self) -> None:
        """End the process here and now."""
        self.dead = True
        if self in self._timeline.loops:
            self._timeline.loops.remove(self)

    def begin(self, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task from outside of the loop."""
        return self.create_task(main)
