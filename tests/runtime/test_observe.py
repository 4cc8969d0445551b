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
from kairos_operator.api.resources import JOBS, NODES, PODS, Resource
from kairos_operator.core.actions import Doubts
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


def _child_of_op(name: str, uid: str, version: int, **says: str) -> dict[str, Any]:
    """A Job of the operation on a, or with the UID r its reboot pod; `says` are annotations."""
    owner = {"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "op", "uid": "uid-op"}
    meta = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    labels = {LABEL_NODE_OP: "op", LABEL_NODE: "a"} | ({LABEL_REBOOT: "true"} if uid == "r" else {})
    owned = {
        "ownerReferences": [{**owner, "controller": True}],
        "annotations": {ANNOTATION_NODE: "a", **says},
    }
    return {"metadata": {**meta, **owned, "labels": labels}, "spec": {"nodeName": "a"}, "status": {}}


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
    known = {"phase": "Running", "step": "Reboot", "bootID": "boot-3", "nodeUID": "uid-a"}
    world = World(live={(NODES, "a"): _node("a", "boot-3", version=7)})
    world.caches.nodes.observed(_node("a", "boot-2"))
    world.caches.node_ops.observed(_op(records={"a": known}))
    says = {ANNOTATION_REBOOT_STATE: "completed", ANNOTATION_REBOOT_BOOT_ID: "boot-3"}
    world.caches.pods.observed(_child_of_op("r", "r", 1, **says))
    seen = world.look()
    assert world.asked == ["get nodes a"]
    assert (seen.nodes["a"].boot_id, seen.seen_after) == ("boot-3", frozenset("a"))


def test_who_works_on_a_node_is_known_from_the_other_operations() -> None:
    world = World(live={(NODES, "a"): _node("a"), (PODS, "x"): {}})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Pending", "step": "Waiting"}}))
    world.caches.node_ops.observed(_op("other", {"a": {"phase": "Running", "step": "Job", "jobUID": "1"}}))
    assert world.look().holders == {"a": "default/other"}
    # From its preflight, a node may come to its claim within this look.
    world.caches.node_ops.observed(_op("checks", {"a": {"phase": "Preflight", "step": "Preflight"}}))
    assert world.look("checks").holders == {"a": "default/other"}
    world.caches.node_ops.observed(_op("new"))
    assert world.look("new").holders == {"a": "default/other"}
    # And so may one whose slot another leaves within this look.
    world.caches.nodes.observed(_node("b"))
    leaves = {"b": {"phase": "Running", "step": "Release", "outcome": "Completed"}}
    turn = _op("turn", {**leaves, "a": {"phase": "Pending", "step": "Waiting"}})
    turn["spec"]["concurrency"] = 1
    world.caches.node_ops.observed(turn)
    world.live[NODES, "b"] = _node("b")
    assert world.look("turn").holders == {"a": "default/other"}


def test_what_the_last_look_doubted_is_read_live() -> None:
    """The watches are silent, and their last word was that the node is away and its Job not done."""
    world = World()
    world.caches.nodes.observed(_node("a", "boot-1"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": "Job", "jobUID": "j"}}))
    op = world.caches.node_ops.get("op", "default")
    assert op is not None
    job, reboot = (child(op, ChildKey(role, "a")) for role in (Role.JOB, Role.REBOOT))
    world.caches.jobs.observed(_child_of_op(job, "j", 1))
    world.caches.pods.observed(_child_of_op(reboot, "r", 1))
    done = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    world.live = {
        (NODES, "a"): _node("a", "boot-1", version=7),
        (JOBS, job): _child_of_op(job, "j", 5) | done,
        (PODS, reboot): _child_of_op(reboot, "r", 5),
    }
    memory = Memory()
    seen = world.look(memory=memory)
    assert (world.asked, seen.recent, seen.asked) == ([], frozenset(), frozenset())
    memory.doubts = Doubts(behind=frozenset({"a", "not in flight"}))
    seen = world.look(memory=memory)
    assert (world.asked, seen.recent, seen.asked) == (["get nodes a"], frozenset("a"), frozenset())
    assert not seen.jobs["a"].complete
    world.asked.clear()
    memory.doubts = Doubts(overdue=frozenset("a"))
    seen = world.look(memory=memory)
    assert world.asked == ["get nodes a", f"get jobs {job}", f"get pods {reboot}"]
    assert (seen.asked, seen.jobs["a"].complete) == (frozenset("a"), True)
    world.caches.nodes.heard = float("inf")
    assert world.look(memory=Memory()).recent is None, "the watch speaks"


def test_what_is_seen_while_an_answer_is_on_its_way_is_not_missing() -> None:
    """The Job was made after the API server had looked for it, and the watch was quicker than the answer."""
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": "Job"}}))
    op = world.caches.node_ops.get("op", "default")
    assert op is not None
    world.meanwhile = _child_of_op(child(op, ChildKey(Role.JOB, "a")), "1", 5)
    del world.meanwhile["spec"]
    assert "a" in world.look().jobs


def test_a_job_is_not_missing_by_an_answer_from_before_its_reboot_pod_spoke() -> None:
    """The pods' watch was quicker than the Jobs': the reboot tells of a Job that the answer knew nothing of yet."""
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records={"a": {"phase": "Running", "step": "Job"}}))
    world.caches.pods.observed(_child_of_op("r", "r", 1))
    says = {ANNOTATION_REBOOT_STATE: "completed", ANNOTATION_REBOOT_BOOT_ID: "boot-1"}
    world.meanwhile = _child_of_op("r", "r", 2, **says)
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
