"""One run of the demo: cluster, CRDs, webhooks, operator, upgrade, verdict; and everything ended again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.runtime.client import Object
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.cluster.controlplane import Cluster
from tests.sandbox.demo import blockade, install, roster
from tests.sandbox.demo.blockade import KEPT_SECONDS, Blockade
from tests.sandbox.demo.board import Board, View
from tests.sandbox.demo.children import Child, free_ports, running
from tests.sandbox.demo.options import Options
from tests.sandbox.demo.verdict import faults
from tests.sandbox.demo.watching import Watching
from tests.waiting import eventually

SETTLE_SECONDS = 10.0
"""The watches of nodes, upgrade and Events come one after the other."""


class TookTooLongError(RuntimeError):
    """Something that should have come has not; the text says what."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended; `faults` is empty where it ended as it had to."""

    board: Board
    faults: list[str]
    kubeconfig: Path
    seconds: float
    operator_log: str


@asynccontextmanager
async def demo(options: Options, view: View, place: Path, real: Cluster | None) -> AsyncIterator[Result]:
    """A whole run; the cluster and the operator stay up while the block runs.

    Raises ChildEndedError, TookTooLongError or an ApiError. `place` is an empty directory, `real` the control plane to
    use instead of the API server in memory.
    """
    async with AsyncExitStack() as stack:
        kubeconfig = real.kubeconfig if real else place / "kubeconfig"
        webhook_port, probe_port = free_ports(2)
        command = _cluster_command(options, place, kubeconfig, webhook_port, real)
        view.stage(
            f"Starting {'the fleet' if real else 'an API server with a fleet'} of {options.nodes} nodes"
        )
        cluster = await stack.enter_async_context(running("the cluster", command, place / "cluster.log"))
        await _until(kubeconfig.exists, "the API server did not start", cluster)
        client = await _client(kubeconfig, stack)
        board = Board(roster.names(options.nodes))
        serves_webhooks = real is None or real.reaches_loopback
        view.stage("Installing the CRDs" + (" and the webhooks" if serves_webhooks else ""))
        await install.definitions(client)
        if serves_webhooks:
            await install.webhooks(client, webhook_port)
        watching = Watching(client, board)
        await stack.enter_async_context(watching.running())
        await _until(lambda: _all_ready(board), "the nodes did not become Ready", cluster)
        if options.block:
            view.stage(f"Putting a web server on {options.block} that its budget does not let go")
            await blockade.set_up(client, options.block)
        view.stage("Starting the operator")
        operator = await stack.enter_async_context(
            running(
                "the operator",
                install.operator_command(kubeconfig, probe_port, webhook_port if serves_webhooks else 0),
                place / "operator.log",
                install.OPERATOR_ENVIRONMENT,
            )
        )
        await install.operator_ready(probe_port, operator)
        yield await _upgrade(options, view, client, watching, (cluster, operator), kubeconfig)


async def _upgrade(
    options: Options,
    view: View,
    client: KubeClient,
    watching: Watching,
    children: tuple[Child, Child],
    kubeconfig: Path,
) -> Result:
    board, clock = watching.board, asyncio.get_running_loop().time
    body = roster.manifest()
    body["spec"]["concurrency"] = options.concurrency
    board.before = dict(board.machines)
    view.stage(f"Creating the NodeOpUpgrade of {roster.MANIFEST.name}")
    created = await _created(client, body)
    watching.follow_upgrade(created["metadata"]["name"])
    began = clock()
    view.begin(board)
    try:
        limit = 60.0 + 120.0 * options.nodes / min(options.speed, 1.0) + bool(options.block) * KEPT_SECONDS
        await _followed(view, watching, children, limit, Blockade(client, kubeconfig, options.keep))
        took = clock() - began
        wrong = faults(board, options)
        while (wrong or not board.heard_the_end) and clock() < began + took + SETTLE_SECONDS:
            await asyncio.sleep(0.1)
            wrong = faults(board, options)
    finally:
        view.end(board)
    return Result(board, wrong, kubeconfig, took, children[1].last_words())


async def _created(client: KubeClient, body: Object) -> Object:
    return await client.create(NODE_OP_UPGRADES, body, body["metadata"]["namespace"])


async def _followed(
    view: View, watching: Watching, children: tuple[Child, Child], limit: float, held_up: Blockade
) -> None:
    """Shows what is new until the upgrade is over."""
    try:
        async with asyncio.timeout(limit):
            while not (watching.board.upgrade and watching.board.upgrade.final):
                for child in children:
                    child.check()
                await _news(watching)
                view.changed(watching.board)
                held_up.look(view, watching.board)
    except TimeoutError:
        told = watching.board.upgrade.message if watching.board.upgrade else "nothing"
        raise TookTooLongError(f"the upgrade was not over after {limit:.0f} s; it said: {told}") from None
    finally:
        held_up.end()


async def _news(watching: Watching) -> None:
    """Returns when something is new, or after half a second in any case."""
    # Not wait_for: before Python 3.12 it loses a cancellation, such as Ctrl-C, that comes together with the news.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await watching.news.wait()
    watching.news.clear()


async def _until(fact: Callable[[], bool], otherwise: str, child: Child) -> None:
    def come_true() -> bool:
        child.check()
        return fact()

    try:
        await eventually(come_true)
    except TimeoutError:
        raise TookTooLongError(f"{otherwise}; the log ends with:\n{child.last_words()}") from None


def _all_ready(board: Board) -> bool:
    return all(name in board.machines and board.machines[name].ready for name in board.order)


async def _client(kubeconfig: Path, stack: AsyncExitStack) -> KubeClient:
    api = await Kr8sApi.connect(str(kubeconfig))
    stack.push_async_callback(api.close)
    return KubeClient(api)


def _cluster_command(
    options: Options, place: Path, kubeconfig: Path, webhook_port: int, real: Cluster | None
) -> list[str]:
    told: dict[str, object] = {
        "directory": place / "cluster",
        "kubeconfig": kubeconfig,
        "nodes": options.nodes,
        "speed": options.speed,
        "fail": options.fail,
        "webhook-service": install.WEBHOOK_SERVICE,
        "webhook-port": webhook_port,
    }
    (place / "cluster").mkdir()
    flags = [f"--{name}={value}" for name, value in told.items()]
    return ["tests.sandbox.demo.cluster", *flags, *(["--fleet-only"] if real else [])]
