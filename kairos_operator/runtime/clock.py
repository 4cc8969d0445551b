"""Time, as everything in the runtime takes it: from a `Clock` that is given to it.

Wall time goes into objects; monotonic time measures durations. The monotonic clock here also counts the time
in which the machine slept (CLOCK_BOOTTIME), because a lease of ours expires during that time as well.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from. A simulation brings its own."""

    def now(self) -> datetime:
        """The wall time, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return (
            time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopClock:
    """The time of the running event loop, counted from a given start: virtual when the loop's time is."""

    def __init__(self, start: datetime) -> None:
        self._start = start.timestamp() - asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._start + self.monotonic(), UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def to_rfc3339(moment: datetime) -> str:
    """A moment as metav1.Time writes it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_micro_time(moment: datetime) -> str:
    """A moment as metav1.MicroTime writes it, to the microsecond (Leases and Events)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
