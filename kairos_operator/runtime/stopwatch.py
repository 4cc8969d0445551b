"""How long nodes have been at their steps, whatever is done to the wall clock meanwhile.

Deadlines count from stored times, so that they go on counting across a restart. But a machine without a battery for
its clock boots with a time from before, and is set right minutes later; or it was ahead, and is set back. So the stored
time counts up to the moment in which this process sees the step first, or decides that it begins, and its monotonic
clock from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from kairos_operator.api.base import whole_seconds
from kairos_operator.api.status import NodeStatus


class _Sight(NamedTuple):
    began: datetime  # as stored: another time is another step
    elapsed: float  # seconds, by the wall clock
    at: float  # monotonic seconds


@dataclass(slots=True)
class Stopwatch:
    """When this process saw the steps of an operation's nodes first, or let them begin."""

    _sights: dict[str, _Sight] = field(default_factory=dict)
    _begun: dict[str, _Sight] = field(default_factory=dict)  # by its decision, stored or not

    def begin(self, records: Mapping[str, NodeStatus], now: datetime, monotonic: float) -> None:
        """Take down which steps begin `now`, by what is to be stored: the clock may be set before that is read."""
        began = whole_seconds(now)
        for name, record in records.items():
            if record.step_started_at is None or whole_seconds(record.step_started_at) != began:
                continue
            if all(
                known is None or known.began != began
                for known in (self._begun.get(name), self._sights.get(name))
            ):
                self._begun[name] = _Sight(began, (now - began).total_seconds(), monotonic)

    def read(
        self, names: Iterable[str], records: Mapping[str, NodeStatus], now: datetime, monotonic: float
    ) -> dict[str, float]:
        """Seconds that these nodes have been at their steps, never less than none; other nodes are forgotten."""
        sights = {}
        for name in names:
            record, known = records.get(name), self._sights.get(name)
            if record is None or record.step_started_at is None:
                continue
            began = record.step_started_at
            if known is None or known.began != began:
                known = self._begun.get(name)
            if known is None or known.began != began:
                known = _Sight(began, max((now - began).total_seconds(), 0.0), monotonic)
            sights[name] = known
        self._sights = sights
        self._begun = {name: sight for name, sight in self._begun.items() if name in sights}
        # Rounded, since a deadline that is 1e-13 s away is looked at again after that, and again.
        return {name: round(sight.elapsed + monotonic - sight.at, 6) for name, sight in sights.items()}
