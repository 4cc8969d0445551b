"""Webhooks beside a busy controller: reviews while the same process upgrades a large fleet.

`python -m tests.bench beside [--nodes 5000] [--concurrency 500] [--skip] [--rate 50] [--output FILE]`. The cluster is
the one in memory. Reviews go over open connections to both webhooks in turn, first while nothing else happens, then
for as long as the upgrade takes. One that takes longer than the API server waits counts as failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.bench import scenario
from tests.bench.caller import Answers, calling
from tests.bench.machine import machine
from tests.bench.probes import Samples, cpu_seconds
from tests.bench.run import connected, ended, play_world, world_ready
from tests.bench.timeline import percentile
from tests.sandbox.demo import install
from tests.sandbox.demo.children import Child, free_ports, running
from tests.webhooks.objects import node_op, review, upgrade
from webhooks.configurations import TIMEOUT_SECONDS
from webhooks.keys import Pair, mint

CONNECTIONS = 8
BEFORE_SECONDS = 10.0
LONGEST = 1800.0
LAG = "kairos_operator_event_loop_lag_seconds"
BODIES = {
    "mutate-operator-kairos-io-v1alpha1-nodeop": review(node_op(cordon=True, rebootOnSuccess=True)),
    "validate-operator-kairos-io-v1alpha1-nodeopupgrade": review(
        upgrade(nodeSelector={"matchLabels": {"kairos.io/managed": "true"}}, concurrency=1)
    ),
}


@dataclass(slots=True)
class Both:
    """The reviews of both webhooks, at one rate for both together."""

    base: str
    context: ssl.SSLContext
    rate: float
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def steady(self, seconds: float) -> dict[str, Any]:
        """Figures of reviews until `over` is set, `seconds` at most."""
        found = await asyncio.gather(*(self._one(path, body, seconds) for path, body in BODIES.items()))
        return figures(
            [second for one in found for second in one.seconds], [f for one in found for f in one.failures]
        )

    async def _one(self, path: str, body: bytes, seconds: float) -> Answers:
        async with calling(f"{self.base}/{path}", body, self.context, CONNECTIONS) as caller:
            return await caller.steady(self.rate / len(BODIES), seconds, self.over.is_set)


def figures(seconds: Sequence[float], failures: Sequence[str]) -> dict[str, Any]:
    """What came of reviews, in a few numbers."""
    late = sum(one > TIMEOUT_SECONDS for one in seconds)
    return {
        "reviews": len(seconds) + len(failures),
        "failed": len(failures) + late,
        "first_failure": failures[0] if failures else "",
        "p50_ms": round(percentile(seconds, 0.5) * 1000, 3),
        "p99_ms": round(percentile(seconds, 0.99) * 1000, 3),
        "slowest_ms": round(max(seconds, default=0.0) * 1000, 3),
    }


@asynccontextmanager
async def cluster(
    wanted: scenario.Scenario, place: Path
) -> AsyncIterator[tuple[KubeClient, Kr8sApi, Child, Path]]:
    """The fleet and its API server, furnished."""
    kubeconfig = place / "kubeconfig"
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(play_world(wanted, place, kubeconfig))
        client, api = await connected(kubeconfig, world, stack, install_first=False)
        await world_ready(place, world)
        yield client, api, world, kubeconfig


def _command(kubeconfig: Path, ports: Sequence[int], certificates: Path) -> list[str]:
    health, metrics, webhooks = ports
    return [
        *install.operator_command(kubeconfig, health, webhooks),
        f"--metrics-bind-address=127.0.0.1:{metrics}",
        "--metrics-secure=false",
        f"--webhook-cert-dir={certificates}",
    ]


def _stored(place: Path) -> tuple[Path, Pair]:
    directory, pair = place / "certificates", mint(["localhost"], datetime.now(UTC))
    directory.mkdir()
    (directory / "tls.crt").write_bytes(pair.certificate)
    (directory / "tls.key").write_bytes(pair.key)
    return directory, pair


async def run(wanted: scenario.Scenario, rate: float, place: Path) -> dict[str, Any]:
    """The figures of one run."""
    directory, pair = _stored(place)
    ports = free_ports(3)
    async with cluster(wanted, place) as (client, api, world, kubeconfig), aiohttp.ClientSession() as session:
        command = _command(kubeconfig, ports, directory)
        log = place / "operator.log"
        async with running("the operator", command, log, install.OPERATOR_ENVIRONMENT) as operator:
            await install.operator_ready(ports[0], operator)

            async def scrape() -> Samples:
                async with session.get(f"http://127.0.0.1:{ports[1]}/metrics") as answer:
                    return Samples(await answer.text())

            context = ssl.create_default_context(cadata=pair.ca.decode())
            idle = await Both(f"https://localhost:{ports[2]}", context, rate).steady(BEFORE_SECONDS)
            before, began, cpu = await scrape(), time.monotonic(), cpu_seconds(operator.popen.pid)
            await client.create(NODE_OP_UPGRADES, wanted.manifest(), "default")
            both = Both(f"https://localhost:{ports[2]}", context, rate)
            reviews = asyncio.create_task(both.steady(LONGEST))
            phase = await ended(wanted, api, (operator, world), _progress)
            makespan = time.monotonic() - began
            both.over.set()
            busy = await reviews
            cpu = cpu_seconds(operator.popen.pid) - cpu
            lag = (await scrape()).quantile(LAG, 0.99, since=before)
    return {
        "scenario": json.loads(wanted.to_json()),
        "rate": rate,
        "phase": phase,
        "makespan_seconds": round(makespan, 1),
        "operator_busy_share": round(cpu / makespan, 2),
        "lag_p99_ms": round(lag * 1000, 1),
        "idle": idle,
        "busy": busy,
    }


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: Sequence[str]) -> int:
    """Runs, prints and writes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench beside",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scenario.add_flags(parser)
    parser.add_argument("--rate", type=float, default=50.0, help="reviews per second (default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("bench-results/beside.json"))
    args = parser.parse_args(words)
    (wanted,) = scenario.scenarios(args)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="kairos-bench-") as place:
        found = asyncio.run(run(wanted, args.rate, Path(place)))
    text = json.dumps({"machine": machine(load), **found}, indent=1)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text + "\n")
    print(text)
    return 0 if found["phase"] == "Completed" and not found["busy"]["failed"] else 1
