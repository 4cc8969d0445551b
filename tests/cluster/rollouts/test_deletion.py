"""Deleting an operation at any moment: the cordons go, nothing is stuck, a node in its reboot comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kairos_operator.api.names import ANNOTATION_CLAIMED_BY
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, PODS, Resource
from tests.cluster.rollouts.arena import TARGET, Arena
from tests.cluster.rollouts.conftest import Open
from tests.cluster.rollouts.replica import Replica
from tests.cluster.rollouts.workloads import SERVES, budget, is_there, replica_set
from tests.sandbox.fleet import NodeSpec, Reboot
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster


def _running(container: str) -> Callable[[Arena], bool]:
    return lambda a: a.runs("a", container)


def _at(step: str) -> Callable[[Arena], bool]:
    """Whether the node is at a step, or was: the release is over before anybody looks twice."""

    def seen(a: Arena) -> bool:
        versions = (one.obj for one in a.recorder.sightings if one.resource == NODE_OPS)
        nodes = ((one.get("status") or {}).get("nodeStatuses") or {} for one in versions)
        return any(each.get(a.full("a"), {}).get("step") == step for each in nodes)

    return seen


def _rebooting(a: Arena) -> bool:
    """Whether the node is down, or was: so short a reboot may be over before its step is stored."""
    return a.node("a").power != "up" or a.node("a").boots > 1


MOMENTS: dict[str, Callable[[Arena], bool]] = {
    "preflight running": _running("preflight"),
    "command running": _running("nodeop"),
    "rebooting": _rebooting,
    "postflight running": _running("postflight"),
    "before the uncordon": _at("Release"),
}


async def _all_gone(a: Arena) -> None:
    await a.until(lambda: not a.upgrade_status() and not a.status("up"), "the operations are gone")
    await a.until(lambda: not a.cordoned("a"), "the node is schedulable")
    await a.until(
        lambda: ANNOTATION_CLAIMED_BY not in (a.seen("a")["metadata"].get("annotations") or {}),
        "no claim is left",
    )

    async def no_children() -> bool:
        pods = [pod for pod in await a.items(PODS) if "kairos.io/nodeop" in pod["metadata"].get("labels", {})]
        return not pods and not await a.items(JOBS)

    await eventually(no_children)


@pytest.mark.parametrize("resource", [NODE_OPS, NODE_OP_UPGRADES], ids=lambda resource: resource.kind)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_deleted_at_any_moment(arena: Open, moment: str, resource: Resource) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        await a.upgrade(concurrency=1)
        await a.until(lambda: MOMENTS[moment](a), moment)
        await a.delete(resource, "up")
        if resource is NODE_OPS:
            status = await a.upgraded(phase="Failed")
            assert "was deleted" in status["message"]
            await a.delete(NODE_OP_UPGRADES, "up")
        await _all_gone(a)
        await a.until(lambda: a.node("a").ready, "the node is back")
        # The release takes so little that the next node may have got its preflight, which does nothing to it, before
        # the deletion is heard of.
        harmless = ("preflight",) if moment == "before the uncordon" else ()
        assert [run for run in a.node("b").commands_run if run.program not in harmless] == []


async def test_deleted_while_a_budget_blocks_the_drain(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SERVES,))) as a:
        pod = await replica_set(a, "web", "a")
        await budget(a, "web-budget", "web")
        await a.upgrade()
        await a.until_says("a", "web-budget", "up")
        await a.delete(NODE_OP_UPGRADES, "up")
        await _all_gone(a)
        assert await is_there(a, pod)


async def test_deleted_while_the_operator_is_down(arena: Open, operator: Replica) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.upgrade()
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        operator.kill()
        await a.delete(NODE_OP_UPGRADES, "up")
        await operator.start()
        await _all_gone(a)


async def test_deleted_with_its_node_gone(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(comes_back=False))) as a:
        await a.upgrade()
        await a.until(lambda: a.node("a").power == "down", "the node is away")
        await a.remove_node("a")
        await a.delete(NODE_OP_UPGRADES, "up")
        await a.until(lambda: not a.upgrade_status() and not a.status("up"), "the operations are gone")


async def test_deleting_a_failed_operation_lifts_the_cordon_that_it_kept(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(falls_back=True))) as a:
        await a.upgrade()
        await a.upgraded(phase="Failed")
        assert a.cordoned("a")
        await a.delete(NODE_OP_UPGRADES, "up")
        await _all_gone(a)


async def test_an_upgrade_of_the_same_name_after_a_deletion_is_another_one(arena: Open) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.upgrade()
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        await a.delete(NODE_OP_UPGRADES, "up")
        await _all_gone(a)
        await a.upgrade(force=True)
        await a.upgraded()
        assert (a.node("a").version, a.node("a").boots) == (TARGET, 2)
