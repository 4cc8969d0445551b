"""Small builders for facts: nodes, pods, Jobs, operations, as short to write as a sentence about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kairos_operator.api.cluster import ContainerView, JobView, NodeView, PodView
from kairos_operator.api.names import FINALIZER, Role
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.objects import ApiObject, Meta, NodeOp, NodeOpUpgrade, Owner
from kairos_operator.api.status import (
    NodeOpStatus,
    NodeOpUpgradeStatus,
    NodeStatus,
    Outcome,
    Phase,
    RebootStatus,
    Step,
)
from kairos_operator.core.nodeop import plan
from kairos_operator.core.phases import phase_of
from kairos_operator.core.snapshot import ChildKey, Images, Snapshot, child

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
IMAGES = Images(operator="operator:1", sentinel="sentinel:1", default="default:1")
UID = "0b9e6c5e-2f3d-4a53-9b0a-6e0c3f1d7a11"
DRAIN = {"cordon": True, "drain_options": {"enabled": True}}


def at(seconds: float) -> datetime:
    """`seconds` after the beginning."""
    return T0 + timedelta(seconds=seconds)


def node(name: str = "n1", **facts: Any) -> NodeView:
    """A Ready node in its first boot."""
    known: dict[str, Any] = {
        "uid": f"uid-of-{name}",
        "resource_version": "1",
        "labels": {},
        "ready": True,
        "boot_id": f"{name}-boot-1",
    }
    return NodeView(name=name, **{**known, **facts})


def control_plane(name: str, **facts: Any) -> NodeView:
    """A node with the control-plane role."""
    return node(name, labels={"node-role.kubernetes.io/control-plane": "true"}, **facts)


def op(
    name: str = "op",
    records: dict[str, NodeStatus] | None = None,
    *,
    phase: Phase | None = None,
    meta: dict[str, Any] | None = None,
    **spec: Any,
) -> NodeOp:
    """A NodeOp; with `records` it has started."""
    status = NodeOpStatus(phase=phase)
    if records is not None:
        status = NodeOpStatus(phase=phase or Phase.RUNNING, node_statuses=records, started_at=T0)
    known: dict[str, Any] = {"namespace": "default", "uid": UID, "generation": 1, "finalizers": (FINALIZER,)}
    return ApiObject(
        Meta(name=name, **{**known, **(meta or {})}),
        NodeOpSpec.model_validate({"command": ["true"], **spec}),
        status,
    )


def upgrade(
    name: str = "kairos-upgrade",
    status: NodeOpUpgradeStatus | None = None,
    *,
    meta: dict[str, Any] | None = None,
    **spec: Any,
) -> NodeOpUpgrade:
    """A NodeOpUpgrade."""
    known: dict[str, Any] = {"namespace": "default", "uid": "uid-of-upgrade", "generation": 1}
    return ApiObject(
        Meta(name=name, **{**known, **(meta or {})}),
        NodeOpUpgradeSpec.model_validate({"image": "kairos:v2", **spec}),
        status or NodeOpUpgradeStatus(),
    )


def record(
    step: Step, outcome: Outcome | None = None, *, since: float = 0, name: str = "n1", **facts: Any
) -> NodeStatus:
    """A node's record at `step`, begun `since` seconds after the beginning."""
    known: dict[str, Any] = {"reboot_status": RebootStatus.NOT_REQUESTED}
    if step is not Step.WAITING:
        known |= {
            "step_started_at": at(since),
            "started_at": T0,
            "node_uid": f"uid-of-{name}",
            "boot_id": f"{name}-boot-1",
        }
    return NodeStatus(
        step=step, outcome=outcome, phase=phase_of(step, outcome), **{**known, **facts}, last_updated=T0
    )


def owner(of: NodeOp | NodeOpUpgrade, kind: str = "NodeOp") -> Owner:
    """An object as the controller of its children."""
    return Owner(kind, of.meta.name, of.meta.uid)


def pod(name: str = "web-1", **facts: Any) -> PodView:
    """A running pod of a ReplicaSet on n1, with nothing special about it."""
    known: dict[str, Any] = {
        "namespace": "default",
        "uid": f"uid-of-{name}",
        "node": "n1",
        "phase": "Running",
        "owner": Owner("ReplicaSet", "web", "uid-of-web"),
    }
    return PodView(name=name, **{**known, **facts})


def ended(code: int, message: str = "", name: str = "main", **facts: Any) -> ContainerView:
    """A container that has exited."""
    reason = "Completed" if code == 0 else "Error"
    return ContainerView(name=name, **{"exit_code": code, "reason": reason, "message": message, **facts})


def role_pod(of: NodeOp, role: Role, on: str = "n1", **facts: Any) -> PodView:
    """The operation's own pod for `role`."""
    known: dict[str, Any] = {
        "owner": owner(of),
        "node": on,
        "operation_node": on,
        "node_op": of.meta.name,
        "labels": {f"kairos.io/{role.value}": "true"},
    }
    return pod(child(of, ChildKey(role, on)), **{**known, **facts})


def job(of: NodeOp, on: str = "n1", **facts: Any) -> JobView:
    """The operation's Job on a node, running."""
    known: dict[str, Any] = {"namespace": of.meta.namespace, "uid": f"uid-of-job-{on}", "owner": owner(of)}
    known |= {"node": on, "node_op": of.meta.name}
    return JobView(name=child(of, ChildKey(Role.JOB, on)), **{**known, **facts})


def ours(of: NodeOp, view: NodeView | None = None, *, cordoned: bool = True) -> NodeView:
    """A node that the operation holds, with its cordon."""
    claim = str(of.meta.claim)
    held = replace(view or node(), claimed_by=claim)
    return replace(held, cordoned_by=claim, unschedulable=True) if cordoned else held


def snapshot(of: NodeOp, *nodes: NodeView, seconds: float = 0, **facts: Any) -> Snapshot:
    """What is known at `seconds` after the beginning."""
    known = {view.name: view for view in nodes}
    tried = seconds if of.meta.deleting_since else 0.0
    facts = {"listed": frozenset(known), "seen_after": frozenset(known), "deleting_for": tried, **facts}
    return Snapshot(op=of, now=at(seconds), images=IMAGES, nodes=known, **facts)


def after(facts: Snapshot) -> NodeOpStatus:
    """The status as it is after a plan for these facts."""
    return plan(facts).status or facts.op.status


def subjects(facts: Snapshot) -> list[str]:
    """What a plan for these facts would do, as sentences."""
    return [action.subject for chain in plan(facts).chains for action in chain]
