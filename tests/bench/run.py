"""One run: a cluster, an operator and one NodeOpUpgrade, looked at from outside until it is over."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.bench import audit, finished, timeline
from tests.bench.figures import Programs, Scrapes, figures
from tests.bench.probes import Health, Samples, cpu_seconds, memory
from tests.bench.scenario import Scenario
from tests.bench.world import JOURNAL, READY
from tests.cluster.controlplane import Cluster, ControlPlane, Options, find_control_plane, start_cluster
from tests.sandbox.demo import install
from tests.sandbox.demo.children import Child, free_ports, running
from tests.waiting import eventually

START_SECONDS = 900.0  # tens of thousands of pods take their time
SETTLE_SECONDS = 5.0  # until a new leader has caught up
FINAL = ("Completed", "Failed")
_TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


class RunFailedError(RuntimeError):
    """The upgrade did not end as it had to, or not in time."""


@contextmanager
def control_plane(scenario: Scenario, place: Path, tell: Callable[[str], None]) -> Iterator[Cluster | None]:
    """The real control plane of a run, or None for the API server in memory."""
    if not scenario.real:
        yield None
        return
    # Finished pods of others are to stay, also of nodes that are not there yet.
    without = ("--controllers=-pod-garbage-collector-controller",) if scenario.other_pods else ()
    options = Options(api_server_flags=audit.flags(place), controller_manager_flags=without)
    with start_cluster(find_control_plane(tell), place / "plane", options) as cluster:
        yield cluster


async def run(
    scenario: Scenario, place: Path, real: Cluster | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The figures of one run. Raises RunFailedError, ChildEndedError or an ApiError."""
    async with AsyncExitStack() as stack:
        kubeconfig = real.kubeconfig if real else place / "kubeconfig"
        tell(f"{scenario.title}: starting the cluster")
        world = await stack.enter_async_context(play_world(scenario, place, kubeconfig))
        client, api = await connected(kubeconfig, world, stack, install_first=real is not None)
        await world_ready(place, world)
        await finished.create(client, scenario)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        health_port, metrics_port = free_ports(2)
        tell(f"{scenario.title}: starting the operator")
        operator = await stack.enter_async_context(
            running(
                "the operator",
                _command(kubeconfig, health_port, metrics_port),
                place / "operator.log",
                install.OPERATOR_ENVIRONMENT,
                python=scenario.python or sys.executable,
            )
        )
        await install.operator_ready(health_port, operator)
        own = real.program("kube-apiserver").pid if isinstance(real, ControlPlane) else None
        server = own or world.popen.pid  # of a cluster elsewhere nothing can be seen but the fleet

        async def scrape() -> Samples:
            async with session.get(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
                return Samples(await answer.text())

        health = Health()
        following = asyncio.create_task(health.follow(f"http://127.0.0.1:{health_port}/healthz"))
        stack.callback(following.cancel)
        return await _measured(scenario, place, client, api, operator, world, server, scrape, health, tell)


async def _measured(  # long: what is read before and after must stand side by side
    scenario: Scenario,
    place: Path,
    client: KubeClient,
    api: Kr8sApi,
    operator: Child,
    world: Child,
    server: int,
    scrape: Callable[[], Awaitable[Samples]],
    health: Health,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    await asyncio.sleep(SETTLE_SECONDS)
    ready = await scrape()
    await asyncio.sleep(scenario.idle_seconds)
    pid = operator.popen.pid
    before, start_bytes = await scrape(), memory(pid, "VmRSS")
    cpu, server_cpu = cpu_seconds(pid), cpu_seconds(server)
    tell(f"{scenario.title}: upgrading")
    began = time.monotonic()
    await client.create(NODE_OP_UPGRADES, scenario.manifest(), "default")
    phase = await ended(scenario, api, (operator, world), tell)
    makespan = time.monotonic() - began
    cpu, server_cpu = cpu_seconds(pid) - cpu, cpu_seconds(server) - server_cpu
    after = await scrape()
    await asyncio.sleep(scenario.idle_seconds)
    later = await scrape()
    found = {res.plural: await client.get(res, "bench", "default") for res in (NODE_OPS, NODE_OP_UPGRADES)}
    sizes = {name: len(json.dumps(obj["status"], separators=(",", ":"))) for name, obj in found.items()}
    programs = Programs(cpu, memory(pid), start_bytes, server_cpu, memory(server))
    await world.end()  # so that the journal is whole
    nodes = timeline.read(place / JOURNAL)
    if phase != "Completed" or len(nodes) != scenario.nodes:
        raise RunFailedError(f"{scenario.title}: {phase}, {len(nodes)} of {scenario.nodes} nodes")
    scrapes = Scrapes(ready, before, after, later)
    own = audit.slot_latencies(place / audit.LOG, scenario.concurrency)
    return figures(scenario, makespan, nodes, scrapes, programs, health, sizes, own)


async def ended(
    scenario: Scenario, api: Kr8sApi, children: tuple[Child, ...], tell: Callable[[str], None]
) -> str:
    """Looks at the upgrade as `kubectl get` does, in a few bytes, until it has ended; returns its phase."""
    waves = -(-scenario.nodes // (scenario.concurrency or scenario.nodes))
    limit = time.monotonic() + 300.0 + 60.0 * waves + 0.5 * scenario.nodes
    said = time.monotonic()
    while time.monotonic() < limit:
        for child in children:
            child.check()
        phase, cells = await _row(api)
        if phase in FINAL:
            return phase
        if time.monotonic() - said > 10.0:
            said = time.monotonic()
            tell(f"{scenario.title}: {' '.join(cells)}")
        await asyncio.sleep(0.1)
    raise RunFailedError(f"{scenario.title} was not over in time")


async def _row(api: Kr8sApi) -> tuple[str, list[str]]:
    path = NODE_OP_UPGRADES.path("default", "bench")
    params = {"includeObject": "None"}
    async with api.exchange("GET", path, params=params, headers=_TABLE) as answer:
        table = await answer.json(content_type=None)
    cells = [str(cell) for row in table.get("rows") or () for cell in row["cells"]]
    return next((cell for cell in cells if cell in FINAL), ""), cells


async def connected(
    kubeconfig: Path, world: Child, stack: AsyncExitStack, *, install_first: bool
) -> tuple[KubeClient, Kr8sApi]:
    """A client of a run's cluster, which has the CRDs then."""
    if not install_first:
        await eventually(lambda: _there(kubeconfig, world) and kubeconfig.stat().st_size > 0)
    api = await Kr8sApi.connect(str(kubeconfig))
    stack.push_async_callback(api.close)
    client = KubeClient(api)
    await install.definitions(client)
    return client, api


async def world_ready(place: Path, world: Child) -> None:
    """Wait until the fleet of a run is there."""
    await eventually(lambda: _there(place / READY, world), START_SECONDS)


def _there(path: Path, child: Child) -> bool:
    child.check()
    return path.exists()


def play_world(scenario: Scenario, place: Path, kubeconfig: Path) -> Any:
    """The cluster of a run as a child, while the block runs."""
    directory = place
    flags = ["--scenario", scenario.to_json(), "--directory", str(directory), "--kubeconfig", str(kubeconfig)]
    return running("the cluster", ["tests.bench.world", *flags], place / "world.log")


def _command(kubeconfig: Path, health_port: int, metrics_port: int) -> list[str]:
    plain = [f"--metrics-bind-address=127.0.0.1:{metrics_port}", "--metrics-secure=false"]
    return [*install.operator_command(kubeconfig, health_port, 0), *plain, "--log-level=warning"]
