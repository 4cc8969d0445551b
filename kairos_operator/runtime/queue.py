"""The queue of keys to look at: each at most once in it, and never with two workers at once.

Rules, as in client-go's workqueue:
- a key that waits already is not added again;
- a key that is being worked on is remembered, and given out again after `done`;
- a delayed key is added when its time comes; of several delays for one key the earliest counts;
- after `close`, what is queued is dropped and `get` raises `QueueClosed`.

All time is the running event loop's, so a loop with virtual time drives it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from kairos_operator.runtime.backoff import Backoff

K = TypeVar("K", bound=Hashable)


class QueueClosed(Exception):
    """The queue was closed: there is no more work."""


class Queue(Generic[K]):
    """De-duplicating queue of keys with per-key order, delays and back-off.

    `on_start` is told how many seconds a key had waited when a worker took it.
    """

    def __init__(
        self, backoff: Backoff | None = None, *, on_start: Callable[[float], None] | None = None
    ) -> None:
        self._backoff = backoff or Backoff()
        self._on_start = on_start
        self._ready: deque[K] = deque()
        self._waiting: dict[K, float] = {}  # key -> when it was added; in `_ready`, or due after `done`
        self._working: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """How many keys wait for a worker; delayed ones are not counted."""
        return len(self._waiting)

    @property
    def working(self) -> int:
        """How many keys are with a worker."""
        return len(self._working)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is worked on; keys may still be delayed."""
        return not self._waiting and not self._working

    def add(self, key: K) -> None:
        """Have the key looked at as soon as a worker is free."""
        if self._closed or key in self._waiting:
            return
        self._waiting[key] = asyncio.get_running_loop().time()
        if key not in self._working:
            self._offer(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key looked at after so many seconds, or earlier if an earlier time is known already."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def add_rate_limited(self, key: K, at_least: float = 0.0) -> float:
        """Count a failure of the key and add it after its back-off (or `at_least` seconds); returns which."""
        seconds = max(self._backoff.delay(key), at_least)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: K) -> None:
        """The key was worked on without failure: its back-off starts anew."""
        self._backoff.forget(key)

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._backoff.failures(key)

    async def get(self) -> K:
        """The next key; the caller owes a `done` for it. Raises QueueClosed."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                self._pass_on(getter)
                raise
        key = self._ready.popleft()
        added = self._waiting.pop(key)
        self._working.add(key)
        if self._on_start is not None:
            self._on_start(asyncio.get_running_loop().time() - added)
        return key

    def done(self, key: K) -> None:
        """The worker is through with the key; if it was added meanwhile, it is due again."""
        self._working.discard(key)
        if key in self._waiting and not self._closed:
            self._offer(key)

    def close(self) -> None:
        """Drop what waits or is delayed, and let every `get` raise QueueClosed. Safe to call twice."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        self._waiting.clear()
        while self._getters:
            self._wake()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _offer(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _pass_on(self, getter: asyncio.Future[None]) -> None:
        """A worker was cancelled after it had been woken: its turn goes to the next."""
        if getter.done() and not getter.cancelled():
            self._wake()
        elif getter in self._getters:
            self._getters.remove(getter)
