"""What goes wrong with calls: a fate for each, decided by the seed and by which call it is.

A fate depends on the replica, the verb, the object and how often that call was made before, never on the order in
which unrelated calls are made: taking one fault away leaves all others as they were, which is what lets a failing
seed be shrunk. Faults end at `calm_from`; afterwards there is only a little latency.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fault(StrEnum):
    """What happens to one call."""

    NONE = "none"
    CONFLICT = "409"  # refused, as if somebody else had been quicker
    THROTTLED = "429"
    BROKEN = "500"  # without effect
    UNAVAILABLE = "503"
    CUT_BEFORE = "cut-before"  # the connection is lost before the request arrives
    CUT_AFTER = "cut-after"  # ... after the effect: the answer is lost
    CUT_LATE = "cut-late"  # ... and the effect comes a little after the client has given up
    HANG_BEFORE = "hang-before"  # no answer until the client's timeout, and no effect
    HANG_AFTER = "hang-after"  # no answer until the client's timeout, but the effect
    SLOW = "slow"
    CRASH_BEFORE = "crash-before"  # the operator dies before the call
    CRASH_AFTER = "crash-after"  # ... after its effect, before the answer
    CRASH_LATER = "crash-later"  # ... just after the answer


READ_FAULTS = (
    Fault.THROTTLED,
    Fault.BROKEN,
    Fault.UNAVAILABLE,
    Fault.CUT_BEFORE,
    Fault.HANG_BEFORE,
    Fault.SLOW,
)
WRITE_FAULTS = (
    *READ_FAULTS,
    Fault.CONFLICT,
    Fault.CUT_AFTER,
    Fault.CUT_AFTER,
    Fault.CUT_LATE,
    Fault.HANG_AFTER,
)
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_AFTER, Fault.CRASH_LATER)


class WatchFault(StrEnum):
    """What happens to one watch, as to its delivery or its end."""

    CLOSE = "watch-close"
    CUT = "watch-cut"
    GONE = "watch-410"
    STALL = "watch-stall"  # nothing arrives any more until the client gives up


@dataclass(frozen=True, slots=True)
class Fate:
    """One call's fault, and its seconds on the way there and back."""

    fault: Fault
    there: float
    back: float


@dataclass(frozen=True, slots=True)
class Rates:
    """How bad the weather is: probabilities per call, and how late watches are (seconds)."""

    fault: float = 0.0
    crash: float = 0.0
    watch_fault: float = 0.0
    lag: float = 0.0


@dataclass(slots=True)
class Weather:
    """The fates of calls and watches; `muted` faults are taken away."""

    seed: int
    rates: Rates
    calm_from: float
    muted: frozenset[str] = frozenset()
    _made: Counter[str] = field(default_factory=Counter)

    def of_call(self, now: float, caller: str, what: str, *, writes: bool, may_conflict: bool) -> Fate:
        """The fate of the next call `what` by `caller`."""
        first, second, third, fourth = self._draws(f"{caller} {what}")
        there, back = 0.001 + 0.02 * third**3, 0.001 + 0.02 * fourth**3
        if now >= self.calm_from:
            return Fate(Fault.NONE, there, back)
        if first < self.rates.crash:
            return Fate(self._unmuted(_pick(CRASHES, second)), there, back)
        if first < self.rates.crash + self.rates.fault:
            fault = self._unmuted(_pick(WRITE_FAULTS if writes else READ_FAULTS, second))
            if fault is Fault.CONFLICT and not may_conflict:
                fault = Fault.NONE
            if fault in (Fault.SLOW, Fault.CUT_LATE):
                there += 3.0 * third
            if fault is Fault.SLOW:
                back += 8.0 * fourth
            return Fate(fault, there, back)
        return Fate(Fault.NONE, there, back)

    def of_watch(self, caller: str, what: str) -> tuple[WatchFault | None, float, float]:
        """How a watch ends before its time, if it does, after how many seconds, and how late its events are."""
        first, second, third, fourth = self._draws(f"{caller} watch {what}")
        lag = 0.002 + 0.05 * fourth + (self.rates.lag * fourth**2 if "lag" not in self.muted else 0.0)
        if first >= self.rates.watch_fault:
            return None, 240.0 + 360.0 * second, lag
        fault = _pick(tuple(WatchFault), second)
        if fault.value in self.muted:
            return None, 400.0, lag
        return fault, 0.1 + 90.0 * third**2, lag

    def lag(self, now: float, watch: str, usual: float) -> float:
        """How late the next batch of a watch is."""
        if now >= self.calm_from:
            return 0.01
        return usual * (0.2 + 1.6 * self._draws(f"lag {watch}")[0])

    def _unmuted(self, fault: Fault) -> Fault:
        group = "crash" if fault.value.startswith("crash") else "call"
        return Fault.NONE if fault.value in self.muted or group in self.muted else fault

    def _draws(self, what: str) -> tuple[float, float, float, float]:
        self._made[what] += 1
        text = f"{self.seed} {what} {self._made[what]}"
        words = struct.unpack("<4I", hashlib.blake2b(text.encode(), digest_size=16).digest())
        return words[0] / 2**32, words[1] / 2**32, words[2] / 2**32, words[3] / 2**32


def _pick(choices: tuple[T, ...], draw: float) -> T:
    return choices[int(draw * len(choices))]
