"""A real Prometheus that scrapes one operator every second, with the shipped rules, and what it answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.cluster.controlplane.program import spawn
from tests.sandbox.demo.children import Child, free_ports
from tests.waiting import eventually

RULES = Path(__file__).resolve().parents[2] / "config" / "prometheus" / "rules.yaml"
SCRAPE_SECONDS = 1
RATE_INTERVAL = (
    "15s"  # what Grafana would put for $__rate_interval at this rate of scraping, and a little more
)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel: its labels, and its points as seconds since 1970 and value."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class QueryFailed(RuntimeError):
    """Prometheus could not answer; the text is its own."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str
    http: aiohttp.ClientSession

    async def ask(self, path: str, **query: Any) -> Any:
        """A call of its API; the data of the answer. Raises QueryFailed."""
        params = {name: str(value) for name, value in query.items()}
        async with self.http.get(f"{self.url}/api/v1/{path}", params=params) as response:
            body = await response.json()
        if body["status"] != "success":
            raise QueryFailed(f"{query}: {body['error']}")
        return body["data"]

    async def series(self, expression: str, start: float, end: float, step: float = 1.0) -> list[Series]:
        """What a panel's expression gives between two times; points that are no number are left out."""
        text = expression.replace("$__rate_interval", RATE_INTERVAL)
        data = await self.ask("query_range", query=text, start=start, end=end, step=step)
        found = []
        for one in data["result"]:
            points = [(float(at), float(value)) for at, value in one["values"]]
            points = [(at, value) for at, value in points if math.isfinite(value)]
            if points:
                found.append(Series(one["metric"], points))
        return found

    async def scraped(self) -> bool:
        """Whether the operator was reached."""
        targets = (await self.ask("targets"))["activeTargets"]
        return bool(targets) and all(one["health"] == "up" for one in targets)


@asynccontextmanager
async def prometheus(program: Path, operator: str, directory: Path) -> AsyncIterator[Prometheus]:
    """Scrapes `operator` (host:port) while the block runs."""
    (port,) = free_ports(1)
    directory.mkdir()
    spec = yaml.safe_load(RULES.read_text())["spec"]
    (directory / "rules.yaml").write_text(yaml.safe_dump(spec))
    jobs = [{"job_name": "kairos-operator", "static_configs": [{"targets": [operator]}]}]
    every = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"}
    config = {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        str(program),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = directory / "prometheus.log"
    child = Child("Prometheus", spawn(command, log, cwd=directory), log)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            found = Prometheus(f"http://127.0.0.1:{port}", http)
            await _ready(found, child)
            yield found
    finally:
        await child.end()


async def _ready(found: Prometheus, child: Child) -> None:
    async def answers() -> bool:
        child.check()
        try:
            async with found.http.get(f"{found.url}/-/ready") as response:
                return response.status == 200 and await found.scraped()
        except aiohttp.ClientConnectionError:
            return False

    await eventually(answers)
    await asyncio.sleep(SCRAPE_SECONDS)
