"""What to do about a NodeOpUpgrade: one NodeOp of the same name carries it out, and its status says what that says.

Which NodeOp it is gets stored before it is made, so that the spec can no longer change by then. A NodeOp that somebody
else controls is never adopted, and one that was deleted is never made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from kairos_operator.api.conditions import ConditionType
from kairos_operator.api.names import (
    ANNOTATION_PAUSED,
    ANNOTATION_PAUSED_BY,
    LABEL_MANAGED_BY,
    LABEL_UPGRADE,
    UPGRADE_CONTROLLER,
    shortened,
)
from kairos_operator.api.nodeop import DrainOptions, NodeCheck, NodeOpSpec
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade, owner_reference
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import NodeOpUpgradeStatus, NodeStatus, Outcome, Phase, Step
from kairos_operator.core import status as statuses
from kairos_operator.core.actions import Action, Create, Note, PauseNodeOp, Plan
from kairos_operator.core.phases import phase_of
from kairos_operator.core.scripts import postflight_command, preflight_command, upgrade_command

# The checks run in the upgrade's image: gigabytes, whose pull counts, and nothing is disrupted while it goes on.
CHECK_DEADLINE_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class UpgradeSnapshot:
    """The facts about one NodeOpUpgrade, at one moment; `node_op` is None only where a live read found none."""

    upgrade: NodeOpUpgrade
    node_op: NodeOp | None
    now: datetime
    refusals: Mapping[str, str] = field(default_factory=dict)


def plan(snapshot: UpgradeSnapshot) -> Plan[NodeOpUpgradeStatus]:
    """The plan for one NodeOpUpgrade."""
    upgrade, node_op = snapshot.upgrade, snapshot.node_op
    phase = upgrade.status.phase
    if upgrade.meta.deleting_since is not None or (phase is not None and phase.final):
        return Plan()
    path = f"{upgrade.meta.namespace}/{upgrade.meta.name}"
    made = upgrade.status.node_op_uid
    if made and (node_op is None or node_op.meta.uid != made):
        return _abandoned(snapshot, f"NodeOp {path} was deleted before the upgrade was done")
    if node_op is None:
        return _create(snapshot)
    if node_op.meta.owner is None or node_op.meta.owner.uid != upgrade.meta.uid:
        text = f"NodeOp {path} exists and is not controlled by this upgrade; it is left alone"
        return _failed(
            snapshot, "NodeOpExists", f"{text}. Create the upgrade with metadata.generateName instead"
        )
    return _mirror(snapshot, node_op)


def node_op_spec(upgrade: NodeOpUpgrade) -> NodeOpSpec:
    """The spec of the NodeOp that carries an upgrade out."""
    spec = upgrade.spec
    reboots = spec.upgrade_active
    return NodeOpSpec(
        command=upgrade_command(spec),
        image=spec.image,
        image_pull_secrets=spec.image_pull_secrets,
        node_selector=spec.node_selector,
        cordon=True,
        uncordon_on_failure=spec.uncordon_on_failure,
        drain_options=DrainOptions(enabled=True, delete_empty_dir_data=True),
        reboot_on_success=reboots,
        concurrency=spec.concurrency,
        stop_on_failure=spec.stop_on_failure,
        preflight=None if spec.force else _check(preflight_command(spec)),
        postflight=_check(postflight_command()) if reboots else None,
        job_timeout_seconds=spec.job_timeout_seconds,
        reboot_timeout_seconds=spec.reboot_timeout_seconds,
    )


def _check(command: list[str]) -> NodeCheck:
    return NodeCheck(command=command, active_deadline_seconds=CHECK_DEADLINE_SECONDS)


def node_op_body(upgrade: NodeOpUpgrade) -> dict[str, Any]:
    """The NodeOp that carries an upgrade out."""
    meta = upgrade.meta
    metadata: dict[str, Any] = {
        "name": meta.name,
        "namespace": meta.namespace,
        "labels": {LABEL_MANAGED_BY: UPGRADE_CONTROLLER, LABEL_UPGRADE: shortened(meta.name)},
        "ownerReferences": [owner_reference(NODE_OP_UPGRADES, meta)],
    }
    if meta.paused:
        metadata["annotations"] = {ANNOTATION_PAUSED: "true", ANNOTATION_PAUSED_BY: NODE_OP_UPGRADES.kind}
    return {
        "apiVersion": NODE_OPS.api_version,
        "kind": NODE_OPS.kind,
        "metadata": metadata,
        "spec": node_op_spec(upgrade).render(),
    }


def _create(snapshot: UpgradeSnapshot) -> Plan[NodeOpUpgradeStatus]:
    upgrade = snapshot.upgrade
    create = Create(NODE_OPS, upgrade.meta.name, partial(node_op_body, upgrade))
    refusal = snapshot.refusals.get(create.subject)
    message = f"Cannot create the NodeOp yet: {refusal}" if refusal else "Starting"
    changes = {"phase": Phase.RUNNING, "node_op_name": upgrade.meta.name, "message": message}
    return _settled(snapshot, changes, chains=((create,),))


def _mirror(snapshot: UpgradeSnapshot, node_op: NodeOp) -> Plan[NodeOpUpgradeStatus]:
    meta, told = snapshot.upgrade.meta, node_op.status
    changes = {
        "phase": told.phase if told.phase not in (None, Phase.PENDING) else Phase.RUNNING,
        "message": told.message or "Starting",
        "node_statuses": told.node_statuses,
        "summary": told.summary,
        "started_at": told.started_at,
        "completed_at": told.completed_at,
        "node_op_name": node_op.meta.name,
        "node_op_uid": node_op.meta.uid,
    }
    blocked = [c.message for c in told.conditions or () if c.type == ConditionType.DRAIN_BLOCKED]
    chains: tuple[tuple[Action, ...], ...] = ()
    if meta.paused and not node_op.meta.paused:
        chains = ((PauseNodeOp(node_op.meta.name, paused=True),),)
    elif not meta.paused and node_op.meta.paused and node_op.meta.paused_by_owner:
        chains = ((PauseNodeOp(node_op.meta.name, paused=False),),)
    return _settled(snapshot, changes, chains=chains, blocked=blocked)


def _abandoned(snapshot: UpgradeSnapshot, message: str) -> Plan[NodeOpUpgradeStatus]:
    """The upgrade whose NodeOp is gone. Nobody waits for the nodes in flight any more, so they have failed."""
    stored = snapshot.upgrade.status.nodes
    nodes = {
        name: _left(record, snapshot.now) if record.in_flight else record for name, record in stored.items()
    }
    changes = {"node_statuses": nodes, "summary": statuses.summary(nodes)} if nodes else {}
    return _failed(snapshot, "NodeOpDeleted", message, changes)


def _left(record: NodeStatus, now: datetime) -> NodeStatus:
    outcome = record.outcome or Outcome.FAILED
    changes: dict[str, Any] = {"step": Step.DONE, "outcome": outcome, "phase": phase_of(Step.DONE, outcome)}
    if record.outcome is None:
        changes["message"] = f"The NodeOp was deleted during the {record.step} step"
    return record.model_copy(update={**changes, "step_started_at": now, "last_updated": now})


def _failed(
    snapshot: UpgradeSnapshot, reason: str, message: str, changes: Mapping[str, Any] | None = None
) -> Plan[NodeOpUpgradeStatus]:
    note = Note(reason, message, type="Warning")
    told = {**(changes or {}), "phase": Phase.FAILED, "message": message}
    return _settled(snapshot, told, notes=(note,))


def _settled(
    snapshot: UpgradeSnapshot,
    changes: Mapping[str, Any],
    *,
    chains: tuple[tuple[Action, ...], ...] = (),
    notes: tuple[Note, ...] = (),
    blocked: list[str] | None = None,
) -> Plan[NodeOpUpgradeStatus]:
    upgrade = snapshot.upgrade
    new = statuses.settled(upgrade.meta, upgrade.status, snapshot.now, blocked or [], changes)
    # Only what comes before a deed must be stored at once; the mirror may take many changes in one write.
    old = upgrade.status
    urgent = new is not None and (new.phase, new.node_op_uid) != (old.phase, old.node_op_uid)
    return Plan(status=new, urgent=urgent, chains=chains, notes=notes)
