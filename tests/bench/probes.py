"""What is read off the operator and the API server while they run: metrics, memory, CPU, health."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

PERIOD = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Labels = Mapping[str, str]


class Samples:
    """One scrape of Prometheus' text format."""

    def __init__(self, text: str = "") -> None:
        self._found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for match in filter(None, map(_SAMPLE.match, text.splitlines())):
            labels = dict(_LABEL.findall(match["labels"] or ""))
            self._found.setdefault(match["name"], []).append((labels, float(match["value"])))

    def of(self, name: str, **where: str) -> Iterator[tuple[Labels, float]]:
        """The samples of a metric that have these labels."""
        for labels, value in self._found.get(name, ()):
            if all(labels.get(key) == wanted for key, wanted in where.items()):
                yield labels, value

    def total(self, name: str, **where: str) -> float:
        """The sum of a metric over all its labels but these."""
        return sum(value for _, value in self.of(name, **where))

    def quantile(self, name: str, share: float, since: Samples | None = None, **where: str) -> float:
        """A quantile of a histogram, interpolated within its bucket as Prometheus does; 0 where nothing was seen."""
        counts: dict[float, float] = {}
        for sign, samples in ((1, self), (-1, since or Samples())):
            for labels, value in samples.of(f"{name}_bucket", **where):
                edge = float(labels["le"])
                counts[edge] = counts.get(edge, 0.0) + sign * value
        edges = sorted(counts)
        if not edges or not counts[edges[-1]]:
            return 0.0
        wanted, below, low = share * counts[edges[-1]], 0.0, 0.0
        for edge in edges:
            if counts[edge] >= wanted:
                if edge == float("inf"):
                    return low
                return low + (edge - low) * (wanted - below) / max(counts[edge] - below, 1e-9)
            below, low = counts[edge], edge
        return low


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, what: str = "VmHWM") -> int:
    """Bytes of a process' resident memory: `VmHWM` is its peak, `VmRSS` that of now."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


@dataclass(slots=True)
class Health:
    """How /healthz answered while it was asked twice a second, as a kubelet would with little patience."""

    asked: int = 0
    failed: int = 0
    slowest: float = 0.0
    seconds: list[float] = field(default_factory=list)

    async def follow(self, url: str) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0)) as session:
            while True:
                began, good = time.monotonic(), False
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as answer:
                        good = answer.status == 200
                self.asked += 1
                self.failed += not good
                self.slowest = max(self.slowest, time.monotonic() - began)
                await asyncio.sleep(PERIOD)
