"""What the observer reads live although, or because, the caches do not have it or may be behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kairos_operator.api.names import (
    ANNOTATION_NODE,
    ANNOTATION_REBOOT_BOOT_ID,
    ANNOTATION_REBOOT_STATE,
    FINALIZER,
    LABEL_NODE,
    LABEL_NODE_OP,
    LABEL_REBOOT,
    Role,
)
from kairos_operator.api.resources import JOBS, NODE_OPS, NODES, PODS, Resource
from kairos_operator.core.snapshot import ChildKey, Images, Snapshot, child
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.client import Listing
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.errors import NotFound
from kairos_operator.runtime.memory import Memory
from kairos_operator.runtime.observe import Observer
from tests.core.world import T0


def _node(name: str, boot: str = "boot-1", version: int = 1, **labels: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), "labels": labels},
        "spec": {},
        "status": {"nodeInfo": {"bootID": boot}, "conditions": [ready]},
    }


def _op(name: str = "op", records: dict[str, Any] | None = None, version: int = 1) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": str(version)}
    obj: dict[str, Any] = {
        "metadata": {**meta, "finalizers": [FINALIZER]},
        "spec": {"command": ["true"], "cordon": True, "rebootOnSuccess": True},
    }
    if records:
        obj["status"] = {"phase": "Running", "startedAt": T0.isoformat(), "nodeStatuses": records}
    return obj


@dataclass
class World:
    """Caches, and beside them what the API server really has."""

    live: dict[tuple[Resource, str], dict[str, Any]] = field(default_factory=dict)
    caches: Caches = field(default_factory=Caches.empty)
    asked: list[str] = field(default_factory=list)
    meanwhile: dict[str, Any] | None = None  # a Job or pod that a watch shows while an answer is on its way

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        self.asked.append(f"get {res.plural} {name}")
        if self.meanwhile is not None and res == JOBS:
            (self.caches.pods if "spec" in self.meanwhile else self.caches.jobs).observed(self.meanwhile)
        if (res, name) not in self.live:
            raise NotFound(404, "NotFound", f"{name} is not there")
        return self.live[res, name]

    async def list(self, res: Resource, namespace: str | None = None, **_: Any) -> Listing:
        self.asked.append(f"list {res.plural}")
        return Listing([obj for (kind, _), obj in self.live.items() if kind == res], "9")

    def look(self, name: str = "op", memory: Memory | None = None) -> Snapshot:
        """A new process looks at an operation, or one that remembers."""
        op = self.caches.node_ops.get(name, "default")
        assert op is not None
        observer = Observer(self, self.caches, SystemClock(), Images())  # type: ignore[arg-type]  # it only reads
        return asyncio.run(observer.node_op(op, memory or Memory()))


def test_targets_are_listed_live_and_then_never_again() -> None:
    world = World(live={(NODES, "a"): _node("a", version=5, pool="new"), (NODES, "b"): _node("b")})
    for obj in (_node("a", pool="old"), _node("gone")):
        world.caches.nodes.observed(obj)
    world.caches.node_ops.observed(_op())
    seen = world.look()
    assert seen.listed == frozenset("ab")
    assert seen.nodes["a"].labels["pool"] == "new"
    assert "b" in seen.nodes
    world.caches.node_ops.observed(_op("later", {"a": {"phase": "Completed", "step": "Done"}}))
    world.asked.clear()
    assert world.look("later").listed is None
    assert world.asked == []


def test_a_reboot_is_looked_at_live_where_the_cache_may_be_behind() -> None:
    known = {"phase": "Running", "step": "Reboot", "bootID": "boot-1", "nodeUID": "uid-a"}
    world = World(live={(NODES, "a"): _node("a", "boot-3", version=7)})
    world.caches.nodes.observed(_node("a", "boot-2"))
    world.caches.node_ops.observed(_op(records={"a": known}))
    owner = {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": NODE_OPS.kind,
        "name": "op",
        "uid": "uid-op",
    }
    says = {ANNOTATION_NODE: "a", ANNOTATION_REBOOT_STATE: "completed", ANNOTATION_REBOOT_BOOT_ID: "boot-3"}
    labels = {LABEL_NODE_OP: "op", LABEL_NODE: "a", LABEL_REBOOT: "true"}
    meta = {"name": "r", "namespace": "default", "uid": "1", "resourceVersion": "1", "labels": labels}
    owned = {"ownerReferences": [{**owner, "uid": "uid-op", "controller": True}], "annotations": says}
    world.caches.pods.observed({"metadata": {**meta, **owned}, "spec": {"nodeName": "a"}, "status": {}})
    seen = world.look()
    assert world.asked == ["get nodes a"]
    assert (seen.nodes["a"].boot_id, seen.seen_after) == ("boot-3", frozenset("a"))


def test_who_works_on_a_node_is_known_from_the_other_operations() -> None:
    world = World(live={(NODES, "a"): _node("a"), (PODS, "x"): {}})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Pending", "step": "Waiting"}}))
    world.caches.node_ops.observed(_op("other", {"a": {"phase": "Running", "step": "Job", "jobUID": "1"}}))
    assert world.look().holders == {"a": "default/other"}
    world.caches.node_ops.observed(_op("new"))
    assert world.look("new").holders == {"a": "default/other"}


def test_what_is_seen_while_an_answer_is_on_its_way_is_not_missing() -> None:
    """The Job was made after the API server had looked for it, and the watch was quicker than the answer."""
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": "Job"}}))
    owner = {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": NODE_OPS.kind,
        "name": "op",
        "uid": "uid-op",
    }
    op = world.caches.node_ops.get("op", "default")
    assert op is not None
    meta = {"name": child(op, ChildKey(Role.JOB, "a")), "namespace": "default", "uid": "1"}
    labels = {"labels": {LABEL_NODE_OP: "op", LABEL_NODE: "a"}, "annotations": {ANNOTATION_NODE: "a"}}
    owned = {"resourceVersion": "5", "ownerReferences": [{**owner, "controller": True}]}
    world.meanwhile = {"metadata": {**meta, **labels, **owned}, "status": {}}
    assert "a" in world.look().jobs


def test_a_job_is_not_missing_by_an_answer_from_before_its_reboot_pod_spoke() -> None:
    """The pods' watch was quicker than the Jobs': the reboot tells of a Job that the answer knew nothing of yet."""
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": "Job"}}))
    owner = {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": NODE_OPS.kind,
        "name": "op",
        "uid": "uid-op",
    }
    labels = {LABEL_NODE_OP: "op", LABEL_NODE: "a", LABEL_REBOOT: "true"}
    meta = {"name": "r", "namespace": "default", "uid": "1", "labels": labels}
    owned = {"ownerReferences": [{**owner, "controller": True}]}
    waits = {**meta, **owned, "resourceVersion": "1", "annotations": {ANNOTATION_NODE: "a"}}
    world.caches.pods.observed({"metadata": waits, "spec": {"nodeName": "a"}, "status": {}})
    says = {ANNOTATION_NODE: "a", ANNOTATION_REBOOT_STATE: "completed", ANNOTATION_REBOOT_BOOT_ID: "boot-1"}
    spoken = {**waits, "resourceVersion": "2", "annotations": says}
    world.meanwhile = {"metadata": spoken, "spec": {"nodeName": "a"}, "status": {}}
    world.look()
    assert len([asked for asked in world.asked if asked.startswith("get jobs ")]) == 2


def test_what_waits_for_its_turn_to_be_made_is_looked_for_once() -> None:
    world, memory = _at_step("Job"), Memory()
    for _ in range(2):
        assert world.look(memory=memory).jobs == {}
    assert [asked.split()[1] for asked in world.asked if asked.startswith("get")] == ["jobs", "pods"]
    memory.absent.begin("a")
    for _ in range(2):
        world.asked.clear()
        world.look(memory=memory)
        assert [asked.split()[1] for asked in world.asked] == ["jobs", "pods"], "a call may have made it"


def test_what_is_to_be_ended_is_looked_for_each_time() -> None:
    world, memory = _at_step("Release"), Memory()
    for _ in range(2):
        world.asked.clear()
        world.look(memory=memory)
        assert {asked.split()[1] for asked in world.asked} >= {"jobs", "pods"}


def test_that_a_node_is_free_is_remembered_only_while_it_is_in_flight() -> None:
    """Thousands of names in each finished operation would be there as long as it is."""
    world, memory = _at_step("Release"), Memory()
    assert world.look(memory=memory).released == {"a"}
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Completed", "step": "Done"}}, version=2))
    world.look(memory=memory)
    assert memory.released == set()


def test_how_long_a_node_is_at_its_step_is_what_this_process_saw_of_it() -> None:
    world, memory = World(live={(NODES, "a"): _node("a")}), Memory()
    world.caches.nodes.observed(_node("a"))
    hour = timedelta(hours=1)
    began = (datetime.now(UTC) + hour).isoformat()  # by a clock that was ahead
    world.caches.node_ops.observed(
        _op(records={"a": {"phase": "Running", "step": "Job", "stepStartedAt": began}})
    )
    for _ in range(2):
        assert 0 <= world.look(memory=memory).elapsed["a"] < hour.total_seconds()


def _at_step(step: str) -> World:
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.observed(_node("a"))
    world.caches.nodes.heard = float("inf")
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": step}}))
    return world
