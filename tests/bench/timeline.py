"""What a run took, beside what its simulated durations alone take, from the journal of the simulated world.

Rules:
- a node's own time is what its pods, its reboot and its way back took in the world: preflight pod, Job pod, reboot
  until Ready, postflight pod, each from the moment the kubelet saw it. What lies between them is the operator's, the
  API server's and the Job controller's;
- the ideal is what these own times take when every slot is given to the next node in no time;
- a slot is free when the last thing that the node had to do has ended in the world; the next node starts when its
  kubelet sees its preflight pod. Of C slots, the k-th that becomes free is that of the (C + k)-th node.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """When the things happened on one node (seconds since the epoch)."""

    node: str
    preflight: tuple[float, float]
    job: tuple[float, float]
    back: float
    postflight: tuple[float, float]

    @property
    def own(self) -> float:
        """What it took by itself."""
        checks = sum(end - begin for begin, end in (self.preflight, self.postflight))
        return checks + self.back - self.job[0]

    @property
    def gaps(self) -> tuple[float, float]:
        """From the preflight's end to the Job's pod, and from Ready to the postflight pod."""
        return self.job[0] - self.preflight[1], self.postflight[0] - self.back


def read(path: Path) -> list[NodeTimes]:
    """The nodes that went all the way, in the order in which they started."""
    by_node: dict[str, list[Line]] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        by_node.setdefault(line["node"], []).append(line)
    found = [times for name, lines in by_node.items() if (times := _times(name, lines))]
    return sorted(found, key=lambda times: times.preflight[0])


def _times(name: str, lines: Iterable[Line]) -> NodeTimes | None:
    pods: dict[str, float] = {}
    programs: dict[str, tuple[str, float]] = {}
    ready = 0.0
    for line in lines:
        if line["event"] == "pod":
            pods.setdefault(line["pod"], line["time"])
        elif line["event"] == "end":
            programs[line["program"]] = (line["pod"], line["time"])
        elif line["event"] == "ready":
            ready = line["time"]

    def span(program: str) -> tuple[float, float]:
        pod, end = programs[program]
        return pods[pod], end

    if programs.keys() == {"preflight"}:  # skipped: nothing came after it
        _, end = span("preflight")
        return NodeTimes(name, span("preflight"), (end, end), end, (end, end))
    if not ready or not {"preflight", "sentinel", "postflight"} <= programs.keys():
        return None
    return NodeTimes(name, span("preflight"), span("sentinel"), ready, span("postflight"))


def ideal_seconds(own: Sequence[float], concurrency: int) -> float:
    """How long nodes of these own times take, in this order, on so many slots (0: all at once)."""
    slots = [0.0] * min(concurrency or len(own), len(own))
    for seconds in own:
        heapq.heapreplace(slots, slots[0] + seconds)
    return max(slots, default=0.0)


def slot_latencies(nodes: Sequence[NodeTimes], concurrency: int) -> list[float]:
    """Seconds from each freed slot to the start of the node that got it."""
    ends = sorted(times.postflight[1] for times in nodes)
    starts = sorted(times.preflight[0] for times in nodes)[concurrency or len(nodes) :]
    return [start - end for start, end in zip(starts, ends, strict=False)]


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which that share of the values lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
