"""What a review costs, beside a bare aiohttp handler in the same process and run.

`python -m tests.bench admission [--rounds N] [--seconds N] [--output FILE]` prints JSON and writes it to a file. The
server has one core, the client another, and both speak TLS over open connections. The server logs and counts its
reviews as the operator does, and knows 5,000 nodes; the bare handler reads the JSON and allows everything.

CPU is the server's own (user and system) while it gets as many reviews as it can answer, so a slow client does not
blur it. Latency is taken at a steady 500 reviews a second, and what waits for a connection counts. Handlers take
turns, round after round, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import ssl
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

from kairos_operator import logs
from kairos_operator.runtime.metrics import Metrics
from tests.bench.caller import calling
from tests.bench.machine import machine
from tests.bench.probes import cpu_seconds
from tests.webhooks.objects import node_op, review, upgrade
from webhooks.keys import load_into, mint
from webhooks.lookups import NodeLabels
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

RATE = 500
CONNECTIONS = 16
WARM_UP = 0.5
BARE = "/bare"
NODES = NodeLabels()
for number in range(5000):
    NODES.observed(f"n{number}", {"kubernetes.io/hostname": f"n{number}", "kairos.io/managed": "true"})
BODIES: Mapping[str, bytes] = {
    "nodeop": review(node_op(cordon=True, drainOptions={"enabled": True}, rebootOnSuccess=True)),
    "nodeopupgrade": review(
        upgrade(nodeSelector={"matchLabels": {"kairos.io/managed": "true"}}, concurrency=1)
    ),
}


class FiveThousandNodes:
    """The caches of a large cluster."""

    def node_labels(self) -> NodeLabels:
        return NODES

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class Target:
    """One handler of the server."""

    name: str
    url: str
    body: bytes


def serve(pipe: Connection, core: int) -> None:
    """The server's process: tells its ports and its CA, and ends when the pipe does."""
    os.sched_setaffinity(0, {core})
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    nowhere = await asyncio.to_thread(Path(os.devnull).open, "w")
    logs.set_up("info", "text", nowhere)
    pair, context = mint(["localhost"], datetime.now(UTC)), server_context()
    load_into(context, pair.certificate, pair.key)
    server = AdmissionServer(Knowledge(lookups=FiveThousandNodes()), context, Metrics().count_review)
    await server.start("127.0.0.1", 0)
    app = web.Application(client_max_size=2**23)
    app.router.add_post(BARE, _allow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    gc.freeze()
    pipe.send((server.port, runner.addresses[0][1], pair.ca.decode()))
    await asyncio.to_thread(pipe.poll, None)
    await server.stop()
    await runner.cleanup()


async def _allow(request: web.Request) -> web.Response:
    asked = json.loads(await request.read())
    response = {"uid": asked["request"]["uid"], "allowed": True}
    return web.json_response({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": response})


@dataclass(slots=True)
class Taken:
    """What has been measured of one handler so far."""

    seconds: list[float] = field(default_factory=list)
    answered: int = 0
    flooded: float = 0.0
    cpu: float = 0.0

    def figures(self, bare_ms: float) -> dict[str, float]:
        """Percentiles, rates, and the cost beside a bare handler's `bare_ms`."""
        percentiles = statistics.quantiles(self.seconds, n=100)
        return {
            "p50_ms": round(percentiles[49] * 1000, 3),
            "p99_ms": round(percentiles[98] * 1000, 3),
            "slowest_ms": round(max(self.seconds) * 1000, 3),
            "reviews_per_second": round(self.answered / self.flooded),
            "reviews_per_cpu_second": round(self.answered / self.cpu),
            "cpu_ms_per_review": round(self.cpu_ms, 4),
            "times_bare": round(self.cpu_ms / bare_ms, 2),
        }

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the server's CPU for one review."""
        return self.cpu / self.answered * 1000


@contextmanager
def before_others(pid: int) -> Iterator[None]:
    """This process and another have real-time priority while the block runs."""
    for one in (0, pid):
        os.sched_setscheduler(one, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        for one in (0, pid):
            os.sched_setscheduler(one, os.SCHED_OTHER, os.sched_param(0))


async def measure(
    target: Target, pid: int, context: ssl.SSLContext, seconds: float, taken: Taken, *, realtime: bool
) -> None:
    """One turn of a handler: latency at the steady rate, then CPU with as many in flight as connections."""
    async with calling(target.url, target.body, context, CONNECTIONS) as caller:
        warm = await caller.flood(WARM_UP)
        with before_others(pid) if realtime else nullcontext():
            steady = await caller.steady(RATE, seconds)
        cpu, began = cpu_seconds(pid), time.perf_counter()
        flood = await caller.flood(seconds)
        taken.flooded += time.perf_counter() - began
        taken.cpu += cpu_seconds(pid) - cpu
    if failures := [*warm.failures, *steady.failures, *flood.failures]:
        raise SystemExit(f"{target.name}: {len(failures)} failed, the first with {failures[0]}")
    taken.seconds += steady.seconds
    taken.answered += len(flood.seconds)


async def run(rounds: int, seconds: float, *, realtime: bool) -> dict[str, Any]:
    """All measurements."""
    before, cores = os.getloadavg()[0], sorted(os.sched_getaffinity(0))
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, cores[-1]), daemon=True)
    process.start()
    os.sched_setaffinity(0, {cores[0]})
    port, bare_port, ca = await asyncio.to_thread(here.recv)
    context = ssl.create_default_context(cadata=ca)
    targets = [Target("bare", f"https://localhost:{bare_port}{BARE}", BODIES["nodeop"])] + [
        Target(f"{door}-{kind}", f"https://localhost:{port}/{door}-operator-kairos-io-v1alpha1-{kind}", body)
        for kind, body in BODIES.items()
        for door in ("mutate", "validate")
    ]
    found = {target.name: Taken() for target in targets}
    for _ in range(rounds):
        for target in targets:
            await measure(target, process.pid or 0, context, seconds, found[target.name], realtime=realtime)
    here.send("end")
    process.join(30)
    bare = found["bare"].cpu_ms
    return {
        "machine": machine(before),
        "realtime": realtime,
        "rate": RATE,
        "rounds": rounds,
        "seconds": seconds,
        "results": {name: taken.figures(bare) for name, taken in found.items()},
    }


def main() -> int:
    """Runs, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each handler (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each kind of load in a turn")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="take latencies with real-time priority (as root), so that other programs of the machine do not count",
    )
    parser.add_argument("--output", type=Path, default=Path("bench-results/admission.json"))
    args = parser.parse_args()
    text = json.dumps(asyncio.run(run(args.rounds, args.seconds, realtime=args.realtime)), indent=2)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
