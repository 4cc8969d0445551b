"""Reboots are proven or failed, and what was seen is told."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.names import LABEL_REBOOT
from kairos_operator.api.resources import JOBS, PODS
from tests.cluster.rollouts.arena import TARGET, Arena
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import NodeSpec, Outcome, Reboot, Rule
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster
SLOW = Rule(Outcome(seconds=60), container="nodeop")
REBOOTS: dict[str, Any] = {"cordon": True, "rebootOnSuccess": True}


async def reboot_pod(a: Arena) -> str:
    """The name of the reboot pod, once there is one."""
    found: list[str] = []

    async def there() -> bool:
        found[:] = [
            pod["metadata"]["name"]
            for pod in await a.items(PODS)
            if LABEL_REBOOT in pod["metadata"]["labels"] and "deletionTimestamp" not in pod["metadata"]
        ]
        return bool(found)

    await eventually(there)
    return found[0]


async def test_a_boot_id_that_did_not_change_is_no_reboot(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(same_boot_id=True))) as a:
        await a.node_op(**REBOOTS, rebootTimeoutSeconds=5)
        await a.finished(phase="Failed")
        assert "not back after 5 s" in a.message("a")
        assert "the reboot pod says completed, but the node's bootID did not change" in a.message("a")
        assert a.cordoned("a")
        assert a.cordoned_by("a").startswith(f"{a.tag}/op@")
        # In the boot that it has recorded the reboot pod asks again, each time, until the operator takes it away.
        a.rebooted[a.full("a")] += 100


async def test_a_node_that_never_comes_back_fails_at_its_deadline_and_frees_its_slot(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(comes_back=False)), NodeSpec("b")) as a:
        await a.node_op(**REBOOTS, rebootTimeoutSeconds=4, concurrency=1)
        await a.finished(phase="Failed")
        assert "Reboot failed: not back after 4 s" in a.message("a")
        assert a.on("b")["phase"] == "Completed"
        assert a.cordoned("a")
        assert not a.cordoned("b")


async def test_a_node_that_comes_back_with_a_broken_kubelet_fails_as_not_ready(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(ready_after=10_000))) as a:
        await a.node_op(**REBOOTS, rebootTimeoutSeconds=5)
        await a.finished(phase="Failed")
        assert "the node is not Ready: container runtime network not ready" in a.message("a")


@pytest.mark.parametrize("uncordons", [False, True])
async def test_a_node_that_fell_back_to_its_old_system_fails_with_both_versions(
    arena: Open, uncordons: bool
) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(falls_back=True))) as a:
        old = a.node("a").version
        await a.upgrade(uncordonOnFailure=uncordons)
        await a.upgraded(phase="Failed")
        for part in ("Postflight failed", "passive system", old, TARGET):
            assert part in a.message("a", "up")
        assert a.node("a").boots == 2
        await a.until(lambda: a.cordoned("a") is not uncordons, "the cordon is as asked for")


async def test_a_reboot_command_that_fails_fails_the_node_at_once(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(refused="reboot: not permitted"))) as a:
        await a.node_op(**REBOOTS)
        await a.finished(phase="Failed")
        assert "Reboot failed" in a.message("a")
        assert "not permitted" in a.message("a")
        assert a.node("a").boots == 1


async def test_a_reboot_pod_deleted_while_the_command_runs_is_made_anew(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op(**REBOOTS)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        await a.delete(PODS, await reboot_pod(a))
        await a.finished()
        assert a.node("a").boots == 2


async def test_a_reboot_pod_evicted_while_the_command_runs_is_made_anew(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op(**REBOOTS)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        name = await reboot_pod(a)
        status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        path = f"{PODS.path(a.tag, name)}/status"
        await a.api.call("PATCH", path, {"status": status}, media="application/merge-patch+json")
        await a.delete(PODS, name)
        await a.finished()
        assert a.node("a").boots == 2


@pytest.mark.parametrize("event", ["reboot", "boot"])
async def test_a_reboot_pod_deleted_while_the_node_is_away_does_not_reboot_it_again(
    arena: Open, event: str
) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.node_op(**REBOOTS, rebootTimeoutSeconds=20)
        name = await reboot_pod(a)
        await a.until(lambda: a.fleet.journal.of(a.full("a"), event), event)  # type: ignore[arg-type]
        await a.delete(PODS, name, gracePeriodSeconds=0)
        await a.finished()
        assert a.node("a").boots == 2


async def test_a_job_deleted_in_the_middle_fails_the_node_and_is_not_made_anew(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op(**REBOOTS)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        jobs = await a.items(JOBS)
        await a.delete(JOBS, jobs[0]["metadata"]["name"], propagationPolicy="Background")
        await a.finished(phase="Failed")
        assert "Job" in a.message("a")
        assert a.on("a")["rebootStatus"] == "cancelled"
        assert a.node("a").boots == 1
        assert a.cordoned("a")


async def test_a_node_that_reboots_by_itself_during_the_command_is_not_taken_for_rebooted(
    arena: Open,
) -> None:
    rule = Rule(Outcome(seconds=40), container="nodeop", times=1)
    async with arena(NodeSpec("a", rules=(rule,))) as a:
        await a.node_op(**REBOOTS, backoffLimit=1)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        a.reboot("a")
        await a.finished()
        # By itself, and after the command that succeeded at its second try.
        assert a.node("a").boots == 3


async def test_a_node_that_reboots_by_itself_and_whose_command_is_not_tried_again_fails(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op(**REBOOTS, backoffLimit=0)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        a.reboot("a")
        await a.finished(phase="Failed")
        assert "Job failed" in a.message("a")
        assert a.node("a").boots == 2


async def test_a_job_without_a_reboot_leaves_the_node_up(arena: Open) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.node_op()
        await a.finished()
        assert a.on("a")["rebootStatus"] == "not-requested"
        assert a.node("a").boots == 1
        assert not [pod for pod in await a.items(PODS) if LABEL_REBOOT in pod["metadata"]["labels"]]
