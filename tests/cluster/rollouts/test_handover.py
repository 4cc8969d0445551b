"""Two replicas as the pods of one ReplicaSet: the leader gives way before the reboot of its own node ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kairos_operator.api.names import ANNOTATION_HANDED_OVER
from kairos_operator.api.resources import LEASES, POD_DISRUPTION_BUDGETS
from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.conftest import Open
from tests.cluster.rollouts.recorder import Obj
from tests.cluster.rollouts.replica import Replica
from tests.cluster.rollouts.test_restarts import ELECT
from tests.cluster.rollouts.workloads import (
    REPLICA_SETS,
    SERVES,
    budget,
    is_there,
    place,
    pod_spec,
    pods_of,
    replica_set,
)
from tests.sandbox.fleet import NodeSpec
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster
APP = "operator"
NODES = tuple(NodeSpec(name, rules=(SERVES,)) for name in "abc")


async def _lease(a: Arena) -> dict[str, Any]:
    leases = await a.items(LEASES)
    return leases[0] if leases else {"spec": {}, "metadata": {}}


async def _leads(a: Arena, pod: Obj) -> bool:
    held_by: str = (await _lease(a))["spec"].get("holderIdentity") or ""
    return held_by.startswith(pod["metadata"]["name"] + "_")


async def _pods(a: Arena, *nodes: str) -> list[Obj]:
    """The pods of the operator, one on each of the nodes, Ready."""
    template = {"metadata": {"labels": {"app": APP}}, "spec": pod_spec()}
    spec = {"replicas": len(nodes), "selector": {"matchLabels": {"app": APP}}, "template": template}
    await a.create(REPLICA_SETS, APP, {"spec": spec})

    async def made() -> bool:
        return len(await pods_of(a, APP)) == len(nodes)

    await eventually(made)
    return [await place(a, pod, node) for pod, node in zip(await pods_of(a, APP), nodes, strict=True)]


async def test_the_leader_gives_way_before_its_own_node_goes_and_is_evicted_like_any_pod(
    arena: Open, operator: Replica, cluster: Cluster, tmp_path: Path
) -> None:
    async with arena(*NODES) as a:
        operator.kill()
        first, second = await _pods(a, "a", "b")
        names = {"CONTROLLER_POD_NAMESPACE": a.tag}
        one, two = (
            Replica(cluster, tmp_path, name, *ELECT, CONTROLLER_POD_NAME=pod["metadata"]["name"], **names)
            for name, pod in (("one", first), ("two", second))
        )
        try:
            await one.start()
            await eventually(lambda: _leads(a, first))
            await two.start()
            # The drain is to be under way for as long as it takes: one that is over leaves the leader's own pod.
            await replica_set(a, "web", "a")
            await budget(a, "web-stays", "web")
            await a.upgrade(concurrency=1)
            await eventually(lambda: _leads(a, second))
            assert a.node("a").boots == 1, "not only once the node had gone down"

            async def evicted() -> bool:
                return not await is_there(a, first)

            await eventually(evicted)
            await a.delete(POD_DISRUPTION_BUDGETS, "web-stays")
            assert await one.end() == 0
            await a.upgraded()
            lease = await _lease(a)
        finally:
            one.kill()
            two.kill()
            await operator.start()
        assert [a.node(name).boots for name in "abc"] == [2, 2, 2]
        assert lease["spec"]["leaseTransitions"] == 1
        assert lease["metadata"]["annotations"][ANNOTATION_HANDED_OVER].endswith(f" on {a.full('a')}")
        # The pod that took the place of the first has no node here, so there was nobody to give way to.
        assert await is_there(a, second), "the pod of the one that acts is left alone"
