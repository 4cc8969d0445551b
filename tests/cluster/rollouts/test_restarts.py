"""The operator dies, ends, freezes or is replaced in the middle; no node runs the command twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kairos_operator.api.names import ANNOTATION_CLAIMED_BY
from kairos_operator.api.resources import LEASES, NODE_OPS
from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts.arena import TARGET, Arena
from tests.cluster.rollouts.conftest import Open
from tests.cluster.rollouts.evidence import nodes_of
from tests.cluster.rollouts.replica import Replica
from tests.cluster.rollouts.workloads import SERVES, budget, replica_set
from tests.sandbox.fleet import NodeSpec
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster


def _happened(a: Arena, event: str, container: str = "") -> bool:
    records = a.fleet.journal.of(a.full("a"), event)  # type: ignore[arg-type]
    return any(record.container == container for record in records)


def _claimed(a: Arena) -> bool:
    return ANNOTATION_CLAIMED_BY in (a.seen("a")["metadata"].get("annotations") or {})


MOMENTS: dict[str, Callable[[Arena], bool]] = {
    "upgrade seen": lambda a: bool(a.upgrade_status()),
    "preflight running": lambda a: _happened(a, "start", "preflight"),
    "claimed": _claimed,
    "command running": lambda a: _happened(a, "start", "nodeop"),
    "Job complete": lambda a: _happened(a, "end", "sentinel-creator"),
    "rebooting": lambda a: _happened(a, "reboot"),
    "booted": lambda a: _happened(a, "boot"),
    "postflight running": lambda a: _happened(a, "start", "postflight"),
    "before the uncordon": lambda a: a.on("a", "up").get("step") == "Release",
    "second node begun": lambda a: a.on("b", "up").get("phase") == "Preflight",
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_and_started_again(arena: Open, operator: Replica, moment: str) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        await a.upgrade(concurrency=1)
        await a.until(lambda: MOMENTS[moment](a), moment)
        operator.kill()
        await operator.start()
        await a.upgraded()
        for name in "ab":
            assert (a.node(name).version, a.node(name).boots) == (TARGET, 2)
            assert a.node(name).programs_run.count("upgrade") == 1


async def test_killed_again_and_again(arena: Open, operator: Replica) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.upgrade(concurrency=1)
        for moment in ("upgrade seen", "claimed", "command running", "rebooting", "postflight running"):
            await a.until(partial(MOMENTS[moment], a), moment)
            operator.kill()
            await operator.start()
        await a.upgraded()
        assert (a.node("a").version, a.node("a").boots) == (TARGET, 2)


async def test_killed_during_a_drain_its_deadline_goes_on_counting(arena: Open, operator: Replica) -> None:
    async with arena(NodeSpec("a", rules=(SERVES,))) as a:
        await replica_set(a, "web", "a")
        await budget(a, "web-budget", "web")
        await a.node_op(cordon=True, drainOptions={"enabled": True, "timeoutSeconds": 3})
        await a.until_step("a", "Drain")
        operator.kill()
        await operator.start()
        await a.finished(phase="Failed")
        assert "not done after 3 s" in a.message("a")
        seen = [
            nodes_of(one.obj).get(a.full("a"), {}) for one in a.recorder.sightings if one.resource is NODE_OPS
        ]
        drains = [node for node in seen if node.get("step") == "Drain"]
        assert len({node["stepStartedAt"] for node in drains}) == 1
        await a.until(lambda: not a.cordoned("a"), "the node is schedulable")


ELECT = (
    "--leader-elect",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
)


class Pair:
    """Two replicas with a lease between them, in place of the shared operator."""

    def __init__(self, cluster: Cluster, directory: Path, place: str) -> None:
        environ = {"CONTROLLER_POD_NAMESPACE": place}
        self.first = Replica(cluster, directory, "first", *ELECT, CONTROLLER_POD_NAME="first", **environ)
        self.second = Replica(cluster, directory, "second", *ELECT, CONTROLLER_POD_NAME="second", **environ)

    async def start(self, a: Arena) -> None:
        """Starts both; the first one leads."""
        await self.first.start()

        async def leads() -> bool:
            return (await holder(a)).startswith("first_")

        await eventually(leads)
        await self.second.start()

    def kill(self) -> None:
        """Ends both."""
        self.first.kill()
        self.second.kill()


async def holder(a: Arena) -> str:
    """The identity that holds the lease."""
    leases = await a.items(LEASES)
    return str(leases[0]["spec"].get("holderIdentity", "")) if leases else ""


@pytest.mark.parametrize("moment", ["command running", "rebooting"])
async def test_told_to_end_the_second_replica_takes_over(
    arena: Open, operator: Replica, cluster: Cluster, tmp_path: Path, moment: str
) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        operator.kill()
        pair = Pair(cluster, tmp_path, a.tag)
        try:
            await pair.start(a)
            await a.upgrade(concurrency=1)
            await a.until(lambda: MOMENTS[moment](a), moment)
            assert await pair.first.end() == 0
            await a.upgraded()
            assert (await holder(a)).startswith("second_")
        finally:
            pair.kill()
            await operator.start()
        assert [a.node(name).boots for name in "ab"] == [2, 2]


async def test_a_leader_that_froze_does_nothing_once_it_wakes_up(
    arena: Open, operator: Replica, cluster: Cluster, tmp_path: Path
) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        operator.kill()
        pair = Pair(cluster, tmp_path, a.tag)
        try:
            await pair.start(a)
            await a.upgrade(concurrency=1)
            await a.until(lambda: MOMENTS["command running"](a), "the command runs")
            pair.first.pause()

            async def taken_over() -> bool:
                return (await holder(a)).startswith("second_")

            await eventually(taken_over)
            pair.first.resume()
            await a.upgraded()
            await eventually(lambda: not pair.first.running)
        finally:
            pair.kill()
            await operator.start()
        assert [a.node(name).boots for name in "ab"] == [2, 2]
