"""Steps the models when they are due: nobody is asked whose time has not come and who saw nothing new."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Model(Protocol):
    """What can be stepped: a kubelet, the Job controller."""

    def due(self, now: datetime) -> datetime | None: ...


class Clockwork:
    """One loop over all models."""

    def __init__(self, clock: Callable[[], datetime], step: Callable[[Model, datetime], None]) -> None:
        self._clock = clock
        self._step = step
        self._poked: dict[int, Model] = {}
        self._due: dict[int, datetime] = {}
        self._heap: list[tuple[datetime, int, Model]] = []
        self._woken = asyncio.Event()

    def poke(self, model: Model) -> None:
        """Something new for the model: it is stepped as soon as possible."""
        self._poked[id(model)] = model
        self._woken.set()

    async def run(self) -> None:
        """Steps for ever."""
        while True:
            self._woken.clear()
            now = self._clock()
            models, self._poked = self._poked, {}
            while self._heap and self._heap[0][0] <= now:
                time, key, model = heapq.heappop(self._heap)
                if self._due.get(key) == time:
                    del self._due[key]
                    models[key] = model
            for model in models.values():
                self._step(model, now)
                self._plan(model, now)
            await self._pause(now)

    def _plan(self, model: Model, now: datetime) -> None:
        due = model.due(now)
        if due is None:
            self._due.pop(id(model), None)
        elif self._due.get(id(model)) != due:
            self._due[id(model)] = due
            heapq.heappush(self._heap, (due, id(model), model))

    async def _pause(self, now: datetime) -> None:
        left = (self._heap[0][0] - self._clock()).total_seconds() if self._heap else None
        if left is not None and left <= 0:
            await asyncio.sleep(0)
            return
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
            async with asyncio.timeout(left):
                await self._woken.wait()
        except TimeoutError:
            return
