"""How long the rest may take, and what that rests on. Pure.

The only evidence is how long this operation's own nodes took, from their slot to their end. Skipped and failed nodes
say nothing about work, so they do not count; with no finished node there is no estimate. The answer is a range, since
nodes differ: all the rest as fast as the fastest, or as slow as the slowest so far.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.site import seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds that the rest takes at best and at worst, None where that is not known, and what it rests on."""

    least: float | None
    most: float | None
    grounds: str


def worked_seconds(record: NodeStatus) -> float | None:
    """How long a node took that did the work; None for every other one."""
    if record.outcome is not Outcome.COMPLETED or record.step is not Step.DONE:
        return None
    if record.started_at is None or record.step_started_at is None:
        return None
    return (record.step_started_at - record.started_at).total_seconds()


def estimate(
    records: Mapping[str, NodeStatus], concurrency: int, now: datetime, *, held: str = ""
) -> Estimate:
    """The rest of an operation; `held` says why nobody can know, where that is so."""
    took = [spent for record in records.values() if (spent := worked_seconds(record)) is not None]
    flying = [
        (now - record.started_at).total_seconds()
        for record in records.values()
        if record.in_flight and record.started_at is not None
    ]
    waiting = sum(record.step is Step.WAITING for record in records.values())
    if held:
        return Estimate(None, None, held)
    if not took:
        return Estimate(None, None, "no node has finished its work yet")
    fast, slow = min(took), max(took)
    slots = concurrency or len(records)
    late = sum(elapsed > slow for elapsed in flying)
    grounds = _grounds(len(took), fast, slow, slots, waiting)
    least = _rest(flying, waiting, slots, fast)
    if late:
        grounds += f"; {late} in flight for longer than that, and nobody knows how much longer"
        return Estimate(least or None, None, grounds)
    return Estimate(least, _rest(flying, waiting, slots, slow), grounds)


def _grounds(finished: int, fast: float, slow: float, slots: int, waiting: int) -> str:
    nodes = "1 node" if finished == 1 else f"{finished} nodes"
    each = _about(fast) if _about(fast) == _about(slow) else f"{_about(fast)} to {_about(slow)}"
    text = f"from {nodes} that took {each}"
    if waiting:
        text += f", {slots} at a time"
    return text + ("; one node says little" if finished == 1 and waiting > 1 else "")


def _about(duration: float) -> str:
    return f"{round(duration)} s" if duration < 100 else seconds(round(duration / 60) * 60)


def _rest(flying: list[float], waiting: int, slots: int, each: float) -> float:
    """The end of the last node, if every node takes `each` seconds and a free slot goes to the next in line."""
    ends = [max(0.0, each - elapsed) for elapsed in flying]
    ends += [0.0] * max(0, min(slots, len(flying) + waiting) - len(ends))
    heapq.heapify(ends)
    last = max(ends, default=0.0)
    for _ in range(waiting):
        end = heapq.heappop(ends) + each
        last = max(last, end)
        heapq.heappush(ends, end)
    return last


def sentence(found: Estimate) -> str:
    """The estimate as users read it."""
    if found.least is None:
        return f"no estimate: {found.grounds}"
    if found.most is None:
        return f"at least {_about(found.least)} left ({found.grounds})"
    low, high = _about(found.least), _about(found.most)
    span = f"about {high}" if low == high else f"{low} to {high}"
    return f"{span} left ({found.grounds})"
