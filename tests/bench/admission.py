"""What a review costs, beside a bare aiohttp handler in the same process and run.

`python -m tests.bench.admission [--seconds N] [--output FILE]` prints JSON and writes it to a file as well. The
server has one core, the client another, and both speak TLS over open connections. The bare handler reads the JSON
and allows everything. CPU is the server's own (user and system), so a slow client does not blur it; latency is
taken at a steady 500 reviews a second, of which those that are late count in full.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import ssl
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.webhooks.load import steady
from tests.webhooks.objects import node_op, review, upgrade
from webhooks.keys import load_into, mint
from webhooks.lookups import NodeLabels
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

RATE = 500
IN_FLIGHT = 32
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
    pair, context = mint(["localhost"], datetime.now(UTC)), server_context()
    load_into(context, pair.certificate, pair.key)
    server = AdmissionServer(Knowledge(lookups=FiveThousandNodes()), context)
    await server.start("127.0.0.1", 0)
    app = web.Application(client_max_size=2**23)
    app.router.add_post(BARE, _allow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    pipe.send((server.port, runner.addresses[0][1], pair.ca.decode()))
    await asyncio.to_thread(pipe.poll, None)
    await server.stop()
    await runner.cleanup()


async def _allow(request: web.Request) -> web.Response:
    asked = json.loads(await request.read())
    response = {"uid": asked["request"]["uid"], "allowed": True}
    return web.json_response({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": response})


async def measure(target: Target, pid: int, context: ssl.SSLContext, seconds: float) -> dict[str, float]:
    """Latency at the steady rate, then reviews per second and CPU with as many in flight as the server can take."""
    await _flood(target, context, WARM_UP)
    count = int(RATE * seconds)
    tally = await steady(target.url, target.body, rate=RATE, count=count, trust=lambda: context, reuse=True)
    if tally.failures:
        raise SystemExit(f"{target.name}: {len(tally.failures)} failed, the first with {tally.failures[0]}")
    cpu = _cpu_seconds(pid)
    answered = await _flood(target, context, seconds)
    cpu = _cpu_seconds(pid) - cpu
    percentiles = statistics.quantiles(tally.seconds, n=100)
    return {
        "p50_ms": round(percentiles[49] * 1000, 3),
        "p99_ms": round(percentiles[98] * 1000, 3),
        "reviews_per_second": round(answered / seconds),
        "reviews_per_cpu_second": round(answered / cpu),
        "cpu_ms_per_review": round(cpu / answered * 1000, 4),
    }


async def _flood(target: Target, context: ssl.SSLContext, seconds: float) -> int:
    """Sends reviews as fast as they are answered; how many were."""
    loop = asyncio.get_running_loop()
    end, answered = loop.time() + seconds, 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while loop.time() < end:
            async with session.post(target.url, data=target.body, ssl=context) as answer:
                await answer.read()
            answered += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:
        await asyncio.gather(*(client(session) for _ in range(IN_FLIGHT)))
    return answered


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(seconds: float) -> dict[str, Any]:
    """All measurements, the bare handler's first and last, so that a drift of the machine shows."""
    cores = sorted(os.sched_getaffinity(0))
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, cores[-1]), daemon=True)
    process.start()
    os.sched_setaffinity(0, {cores[0]})
    port, bare_port, ca = await asyncio.to_thread(here.recv)
    context = ssl.create_default_context(cadata=ca)
    bare = Target("bare", f"https://localhost:{bare_port}{BARE}", BODIES["nodeop"])
    doors = [
        Target(f"{door}-{kind}", f"https://localhost:{port}/{door}-operator-kairos-io-v1alpha1-{kind}", body)
        for kind, body in BODIES.items()
        for door in ("mutate", "validate")
    ]
    pid = process.pid or 0
    found = {}
    for name, target in [("bare", bare), *((door.name, door) for door in doors), ("bare again", bare)]:
        found[name] = await measure(target, pid, context, seconds)
    here.send("end")
    process.join(30)
    cost = statistics.mean(found[name]["cpu_ms_per_review"] for name in ("bare", "bare again"))
    for name in found:
        found[name]["times_bare"] = round(found[name]["cpu_ms_per_review"] / cost, 2)
    return {"python": platform.python_version(), "cores": len(cores), "rate": RATE, "results": found}


def main() -> int:
    """Runs, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of steady load for each handler")
    parser.add_argument("--output", type=Path, default=Path("bench-results/admission.json"))
    args = parser.parse_args()
    text = json.dumps(asyncio.run(run(args.seconds)), indent=2)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
