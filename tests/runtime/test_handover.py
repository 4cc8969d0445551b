"""Giving way: replicas on one lease, under virtual time. Never two that may write, and never nobody for long."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kairos_operator.api.names import ANNOTATION_HANDED_OVER
from kairos_operator.api.resources import NODE_OPS, NODES, Resource
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.client import Client, Listing
from kairos_operator.runtime.errors import NotFound, NotLeader, Unreachable
from kairos_operator.runtime.handover import HandOver
from tests.runtime.leadership import Leases, Replica, replicas, until
from tests.runtime.virtual import run

CLAIM = "default/up@uid-of-up"


def pod(name: str, node: str) -> dict[str, Any]:
    """A ready pod of the operator."""
    owner = {"kind": "ReplicaSet", "name": "operator", "uid": "uid-of-set", "controller": True}
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "labels": {"a": "b"}, "ownerReferences": [owner]},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


class Cluster:
    """Nodes of the replicas' names, their pods, and one operation that may have a node in flight."""

    def __init__(self, names: list[str]) -> None:
        self.pods = {name: pod(name, f"on-{name}") for name in names}
        self.caches = Caches.empty()
        self.refuses = False
        for name in names:
            status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"bootID": "1"}}
            meta = {"name": f"on-{name}", "resourceVersion": "1", "uid": name}
            self.caches.of(NODES).observed({"metadata": meta, "status": status})  # type: ignore[union-attr]

    def reboots(self, version: int, *names: str) -> None:
        """The operation has the nodes of those replicas at their Job."""
        entry = {"phase": "Running", "step": "Job", "bootID": "1"}
        body: dict[str, Any] = {
            "metadata": {
                "name": "up",
                "namespace": "default",
                "uid": "uid-of-up",
                "resourceVersion": str(version),
            },
            "spec": {"command": ["true"], "rebootOnSuccess": True},
            "status": {"phase": "Running", "nodeStatuses": {f"on-{name}": entry for name in names}},
        }
        self.caches.of(NODE_OPS).observed(body)  # type: ignore[union-attr]

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        if self.refuses:
            raise Unreachable("cut")
        if name not in self.pods:
            raise NotFound(404, "NotFound", name)
        return self.pods[name]

    async def list(self, res: Resource, namespace: str | None = None, *, label_selector: str = "") -> Listing:
        assert label_selector == "a=b"
        return Listing(list(self.pods.values()), "1")


class Giving:
    """A replica that leads as the operator does: until a reboot of its own node is due."""

    def __init__(self, replica: Replica, cluster: Cluster, pod_name: str | None = None) -> None:
        self.replica = replica
        self.stopped = asyncio.Event()
        name = replica.name if pod_name is None else pod_name
        self.hand_over = HandOver(cast(Client, cluster), cluster.caches, replica.clock, "system", name)

    def start(self) -> None:
        lead = self.hand_over.lead(self.replica.elector, self.work, self.stopped.set)
        self.replica.task = asyncio.create_task(lead)

    async def work(self) -> None:
        self.replica.working += 1
        await self.stopped.wait()
        await asyncio.sleep(1)  # what is under way is finished, while the lease is still held
        self.replica.elector.check()
        self.replica.working -= 1


def pair(pod_name: str | None = None) -> tuple[Leases, Cluster, Giving, Giving]:
    """Two replicas; the first may be one that knows no pod of its own."""
    leases, (a, b) = replicas(2)
    cluster = Cluster([a.name, b.name])
    return leases, cluster, Giving(a, cluster, pod_name), Giving(b, cluster)


async def never_two(giving: tuple[Giving, ...], seconds: float) -> float:
    """Looks on for so long; returns for how long nobody might write."""
    nobody = 0.0
    for _ in range(int(seconds * 20)):
        may = [one.replica.name for one in giving if one.replica.may_write() or one.replica.working]
        assert len(may) < 2, may
        nobody += 0.05 * (not may)
        await asyncio.sleep(0.05)
    return nobody


def test_before_the_reboot_of_its_own_node_the_leader_gives_way_and_the_other_goes_on_at_once() -> None:
    async def main() -> None:
        leases, cluster, a, b = pair()
        a.start()
        await until(a.replica.may_write)
        b.start()
        assert await never_two((a, b), 30) == 0
        cluster.reboots(2, "r0")
        assert await never_two((a, b), 60) < 6
        assert b.replica.may_write()
        assert leases.spec["leaseTransitions"] == 1
        assert leases.lease is not None
        assert leases.lease["metadata"]["annotations"] == {ANNOTATION_HANDED_OVER: f"{CLAIM} on on-r0"}
        assert a.replica.task is not None
        assert not a.replica.task.done(), "it answers webhooks until its node goes down"

    run(main)


def test_then_the_other_gives_way_in_its_turn_and_the_first_starts_anew_as_a_candidate() -> None:
    async def main() -> None:
        _, cluster, a, b = pair()
        a.start()
        await until(a.replica.may_write)
        b.start()
        cluster.reboots(2, "r0")
        await until(b.replica.may_write)
        cluster.reboots(3, "r1")
        await never_two((a, b), 20)
        assert a.replica.task is not None
        with pytest.raises(NotLeader, match="gave way"):
            await a.replica.task

    run(main)


def test_where_the_reboot_does_not_come_the_replica_that_gave_way_starts_anew_as_a_candidate() -> None:
    async def main() -> None:
        _, cluster, a, b = pair()
        a.start()
        await until(a.replica.may_write)
        b.start()
        cluster.reboots(2, "r0")
        await until(b.replica.may_write)
        cluster.reboots(3)
        assert await never_two((a, b), 5) == 0
        assert a.replica.task is not None
        with pytest.raises(NotLeader, match="does not reboot"):
            await a.replica.task
        assert b.replica.may_write()

    run(main)


def test_a_leader_whom_nobody_follows_starts_anew_and_does_not_give_way_to_the_same_reboot_again() -> None:
    async def main() -> None:
        leases, cluster, a, b = pair()  # b is ready, says its pod, but never tries for the lease
        a.start()
        await until(a.replica.may_write)
        cluster.reboots(2, "r0")
        assert a.replica.task is not None
        with pytest.raises(NotLeader):
            await a.replica.task
        again = Giving(Replica(leases, "r0", 7), cluster)
        again.start()
        assert await never_two((again, b), 60) < 2
        assert again.replica.may_write()

    run(main)


@pytest.mark.parametrize("both", ["r0 r1", "r1"])
def test_nobody_gives_way_for_another_node_or_to_one_that_goes_down_too(both: str) -> None:
    async def main() -> None:
        leases, cluster, a, b = pair()
        a.start()
        await until(a.replica.may_write)
        b.start()
        cluster.reboots(2, *both.split())
        assert await never_two((a, b), 60) == 0
        assert a.replica.may_write()
        assert leases.spec["leaseTransitions"] == 0

    run(main)


@pytest.mark.parametrize("pod_name", ["", "no-such-pod"])
def test_a_program_in_no_pod_leads_as_long_as_it_can(pod_name: str) -> None:
    async def main() -> None:
        _, cluster, a, b = pair(pod_name)
        a.start()
        await until(a.replica.may_write)
        cluster.reboots(2, "r0")
        assert await never_two((a, b), 60) == 0

    run(main)


def test_a_leader_that_cannot_read_the_pods_tries_again() -> None:
    async def main() -> None:
        _, cluster, a, b = pair()
        cluster.refuses = True
        a.start()
        await until(a.replica.may_write)
        b.start()
        cluster.reboots(2, "r0")
        assert await never_two((a, b), 20) == 0
        cluster.refuses = False
        await until(b.replica.may_write, 10)

    run(main)


def test_told_to_end_it_ends_without_a_note() -> None:
    async def main() -> None:
        leases, _, a, _ = pair()
        a.start()
        await until(a.replica.may_write)
        a.stopped.set()
        assert a.replica.task is not None
        await a.replica.task
        assert leases.spec["holderIdentity"] == ""
        assert leases.lease is not None
        assert "annotations" not in leases.lease["metadata"]

    run(main)
