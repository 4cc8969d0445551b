"""Draining: what goes, what stays, what is in the way, and that it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, POD_DISRUPTION_BUDGETS, PODS
from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts.arena import Arena, opened
from tests.cluster.rollouts.conftest import Open
from tests.cluster.rollouts.replica import Replica
from tests.cluster.rollouts.workloads import (
    EMPTY_DIR,
    SERVES,
    bare_pod,
    budget,
    daemon_set,
    is_there,
    replica_set,
)
from tests.sandbox.fleet import NodeSpec
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster
NODE = NodeSpec("a", rules=(SERVES,))


def drains(**options: Any) -> dict[str, Any]:
    """A NodeOp's fields."""
    return {"cordon": True, "drainOptions": {"enabled": True, **options}}


async def test_a_budget_in_the_way_is_named_and_once_it_is_gone_the_upgrade_goes_on(arena: Open) -> None:
    async with arena(NODE) as a:
        pod = await replica_set(a, "web", "a")
        await budget(a, "web-budget", "web")
        await a.upgrade()
        name = f"{a.tag}/{pod['metadata']['name']}"
        await a.until_says("a", "web-budget", "up")
        assert name in a.message("a", "up")
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            told = partial(a.condition, "DrainBlocked", "up", resource)
            await a.until(partial(_holds, told), "it is told")
            assert name in told()["message"]
            assert "web-budget" in told()["message"]
        assert await is_there(a, pod)
        await a.delete(POD_DISRUPTION_BUDGETS, "web-budget")
        await a.upgraded()
        assert not await is_there(a, pod)
        assert a.condition("DrainBlocked", "up").get("status") != "True"


async def test_a_drain_that_takes_too_long_fails_the_node_uncordons_it_and_names_the_budget(
    arena: Open,
) -> None:
    async with arena(NODE) as a:
        pod = await replica_set(a, "web", "a")
        await budget(a, "web-budget", "web")
        await a.node_op(**drains(timeoutSeconds=2))
        await a.finished(phase="Failed")
        for part in ("Drain failed: not done after 2 s", pod["metadata"]["name"], "web-budget"):
            assert part in a.message("a")
        assert await is_there(a, pod)
        await a.until(lambda: not a.cordoned("a"), "the node is schedulable")
        assert a.node("a").programs_run == []


async def test_the_grace_period_is_sent_and_the_pod_is_waited_for_until_it_is_gone(arena: Open) -> None:
    async with arena(replace(NODE, stop_seconds=1000)) as a:
        pod = await replica_set(a, "web", "a")
        name = pod["metadata"]["name"]
        await a.patch(PODS, name, {"metadata": {"finalizers": ["test.example/hold"]}})
        await a.node_op(**drains(gracePeriodSeconds=40))
        await a.until_says("a", f"waiting for {a.tag}/{name} to end")

        async def grace_is_sent() -> bool:
            metadata = (await a.read(PODS, name))["metadata"]
            return bool(metadata.get("deletionGracePeriodSeconds") == 40)

        await eventually(grace_is_sent)

        async def ended_on_its_node() -> bool:
            return (await a.read(PODS, name)).get("status", {}).get("phase") in ("Failed", "Succeeded")

        await eventually(ended_on_its_node)
        await a.patch(PODS, name, {"metadata": {"finalizers": None}})
        await a.finished()


async def test_daemon_static_unmanaged_and_empty_dir_pods_stay_and_are_told(arena: Open) -> None:
    async with arena(NODE) as a:
        stay = {
            "a DaemonSet pod": await daemon_set(a, "agent", "a"),
            "a static pod": await bare_pod(a, "static", "a", {"kubernetes.io/config.mirror": "x"}),
            "no controller": await bare_pod(a, "bare", "a"),
            "emptyDir": await replica_set(a, "cache", "a", volumes=EMPTY_DIR),
        }
        goes = await replica_set(a, "web", "a")
        await a.node_op(**drains())
        await a.finished()
        assert not await is_there(a, goes)
        for pod in stay.values():
            assert await is_there(a, pod)
        told = await a.event("Drained")
        for reason, pod in stay.items():
            assert f"{a.tag}/{pod['metadata']['name']}" in told
            assert reason in told


async def test_force_and_delete_empty_dir_data_evict_those_too(arena: Open) -> None:
    async with arena(NODE) as a:
        bare = await bare_pod(a, "bare", "a")
        cache = await replica_set(a, "cache", "a", volumes=EMPTY_DIR)
        await a.node_op(**drains(force=True, deleteEmptyDirData=True))
        await a.finished()
        assert not await is_there(a, bare)
        assert not await is_there(a, cache)


async def test_a_daemon_set_that_is_not_ignored_refuses_the_drain_and_nothing_is_evicted(arena: Open) -> None:
    async with arena(NODE) as a:
        agent = await daemon_set(a, "agent", "a")
        web = await replica_set(a, "web", "a")
        await a.node_op(**drains(ignoreDaemonSets=False))
        await a.finished(phase="Failed")
        assert agent["metadata"]["name"] in a.message("a")
        assert await is_there(a, web)
        assert not a.cordoned("a")


async def test_pods_ending_on_a_node_that_is_away_do_not_block_for_ever(arena: Open) -> None:
    async with arena(NODE) as a:
        pod = await replica_set(a, "web", "a")
        a.power_off("a")
        await a.until(lambda: not is_ready(a), "the node is not Ready")
        await a.node_op(**drains(gracePeriodSeconds=1))
        await a.until_step("a", "Job")
        await a.until_says("a", "the node is not Ready")
        a.fleet.power_on(a.full("a"))
        await a.finished()
        assert not await is_there(a, pod)


async def test_the_operators_own_pod_is_never_evicted(
    cluster: Cluster, operator: Replica, tmp_path: Path
) -> None:
    async with opened(cluster, operator, tmp_path, NODE) as a:
        pod = await replica_set(a, "operator", "a")
        operator.kill()
        place = {"CONTROLLER_POD_NAME": pod["metadata"]["name"], "CONTROLLER_POD_NAMESPACE": a.tag}
        in_pod = Replica(cluster, tmp_path, "in-pod", **place)
        await in_pod.start()
        try:
            await a.node_op(**drains())
            await a.finished()
        finally:
            in_pod.kill()
            await operator.start()
        assert await is_there(a, pod)
        assert "the operator's own pod" in await a.event("Drained")


def _holds(condition: Callable[[], dict[str, Any]]) -> bool:
    return condition().get("status") == "True"


def is_ready(a: Arena) -> bool:
    conditions = a.seen("a")["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
