"""The status of both kinds: what users see of an operation and of each of its nodes.

A node's `phase` is what the Go operator shows; its `step` is where it really stands, stored before the first
side effect of that step, so that an operator that restarts goes on from there and deadlines go on counting.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from kairos_operator.api.base import ApiModel, Time
from kairos_operator.api.conditions import Condition, ConditionType
from kairos_operator.api.lean import lean


class Phase(StrEnum):
    """How far an operation is; Completed and Failed are final."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        """Whether nothing may change any more."""
        return self in (Phase.COMPLETED, Phase.FAILED)


class NodePhase(StrEnum):
    """How far an operation is on one node; Completed and Failed are final."""

    PENDING = "Pending"
    PREFLIGHT = "Preflight"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Step(StrEnum):
    """Where an operation stands on one node."""

    WAITING = "Waiting"
    PREFLIGHT = "Preflight"
    CLAIM = "Claim"
    DRAIN = "Drain"
    JOB = "Job"
    REBOOT = "Reboot"
    POSTFLIGHT = "Postflight"
    RELEASE = "Release"
    DONE = "Done"


class Outcome(StrEnum):
    """How an operation ended on one node."""

    COMPLETED = "Completed"
    SKIPPED = "Skipped"
    FAILED = "Failed"


class RebootStatus(StrEnum):
    """What is known of a node's reboot."""

    NOT_REQUESTED = "not-requested"
    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


Message = Annotated[str, Field(max_length=4096)]


_STEP_OF_PHASE: Mapping[str, Mapping[str, str]] = {
    NodePhase.RUNNING: {"step": Step.JOB, "jobUID": "unknown"},
    NodePhase.COMPLETED: {"step": Step.DONE, "outcome": Outcome.COMPLETED},
    NodePhase.FAILED: {"step": Step.DONE, "outcome": Outcome.FAILED},
}


class NodeStatus(ApiModel):
    """What happened to one node so far."""

    phase: NodePhase = NodePhase.PENDING
    """Pending, Preflight, Running, Completed or Failed."""
    job_name: str | None = None
    """Name of the Job that runs the command on the node."""
    message: Message | None = None
    """What is happening, or why it ended as it did."""
    reboot_status: RebootStatus | None = None
    """not-requested, pending, completed or cancelled."""
    last_updated: Time | None = None
    """When this entry last changed."""
    step: Step = Step.WAITING
    """Where the operation stands on the node."""
    step_started_at: Time | None = None
    """When the step began; its deadline counts from here."""
    started_at: Time | None = None
    """When the node was given its slot."""
    node_uid: Annotated[str | None, Field(alias="nodeUID")] = None
    """UID of the Node object when the slot was given; another UID later is another node."""
    boot_id: Annotated[str | None, Field(alias="bootID")] = None
    """The node's bootID when the slot was given, seen anew before the work; a reboot is proven by a different one."""
    rebooted_from: str | None = None
    """The bootID that the reboot pod said it would end; kept, since the pod may be gone when the node is back."""
    job_uid: Annotated[str | None, Field(alias="jobUID")] = None
    """UID of the Job once it was seen; a Job that is gone after that is not made anew."""
    outcome: Outcome | None = None
    """How it ended: Completed, Skipped or Failed."""
    keep_cordon: bool | None = None
    """Whether the operation's cordon stays on the node that failed."""

    @model_validator(mode="before")
    @classmethod
    def _with_step(cls, told: Any) -> Any:
        """The Go operator writes no steps. What it had running may have run, and its Job's name cannot be derived: the
        step is then that of a Job which was seen and is not made anew.
        """
        if not isinstance(told, Mapping) or "step" in told or "phase" not in told:
            return told
        return {**told, **_STEP_OF_PHASE.get(str(told["phase"]), {})}

    @property
    def in_flight(self) -> bool:
        """Whether the node holds a slot."""
        return self.step not in (Step.WAITING, Step.DONE)


_ONCE: dict[Any, Any] = {}  # which fields entries have: a few combinations, shared by thousands


def _entry(told: dict[str, Any]) -> NodeStatus:
    entry = NodeStatus.model_validate(told)
    said = entry.model_fields_set
    return lean(entry, _ONCE.setdefault(frozenset(said), said))


@lru_cache(maxsize=8192)
def _entry_once(names: tuple[str, ...], values: tuple[Any, ...]) -> NodeStatus:
    return _entry(dict(zip(names, values, strict=True)))


lean(NodeStatus(), set())  # the first one, which prepares the class


def shared_entry(told: Any) -> Any:
    """An entry read from the wire. Those of nodes that wait or are done, which are most of thousands, stay as they are:
    the same words are read once and give the same value, also in an upgrade, whose entries are those of its NodeOp.
    """
    if not isinstance(told, dict) or "step" not in told:
        return told
    try:
        if told["step"] not in ("Waiting", "Done"):
            return _entry(told)
        names = tuple(told)
        values = tuple(sys.intern(value) if type(value) is str else value for value in told.values())
        return _entry_once(_ONCE.setdefault(names, names), values)
    except (TypeError, ValidationError):
        return told  # the model says what is wrong with it, and where


class Summary(ApiModel):
    """How many nodes are where; the counts besides `total` add up to it."""

    total: int = 0
    """All nodes of the operation."""
    pending: int = 0
    """Nodes that have not been started."""
    running: int = 0
    """Nodes in flight, preflight included."""
    completed: int = 0
    """Nodes that did the work, and the reboot where one was asked for."""
    skipped: int = 0
    """Nodes that needed nothing, or no longer exist."""
    failed: int = 0
    """Nodes that failed."""
    progress: str = "0/0"
    """Finished nodes of all, as shown by kubectl."""


class OperationStatus(ApiModel):
    """What the statuses of both kinds share."""

    phase: Phase | None = None
    """Pending, Running, Completed or Failed; the last two are final."""
    message: Message | None = None
    """What the operation is doing, or how it ended."""
    node_statuses: Annotated[
        dict[str, NodeStatus] | None,
        # One owner for the whole map: managedFields would otherwise name every field of thousands of nodes.
        Field(json_schema_extra={"x-kubernetes-map-type": "atomic"}),
    ] = None
    """Every node of the operation, by name."""
    last_updated: Time | None = None
    """When the status last changed."""
    observed_generation: int | None = None
    """The generation of the spec that the status speaks of."""
    started_at: Time | None = None
    """When the targets were resolved and the operation started."""
    completed_at: Time | None = None
    """When the operation reached its final phase."""
    summary: Summary | None = None
    """How many nodes are where."""
    conditions: Annotated[
        list[Condition] | None,
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = None
    """What holds: Complete or Failed at the end; Reconciling and Stalled for kstatus; what pauses or blocks it."""

    @field_validator("node_statuses", mode="before")
    @classmethod
    def _read_once(cls, told: Any) -> Any:
        return {name: shared_entry(one) for name, one in told.items()} if isinstance(told, dict) else told

    @property
    def nodes(self) -> dict[str, NodeStatus]:
        """The nodes' entries, empty before the start."""
        return self.node_statuses or {}


class NodeOpStatus(OperationStatus):
    """How far a NodeOp is."""


class NodeOpUpgradeStatus(OperationStatus):
    """How far a NodeOpUpgrade is: what its NodeOp says, and which one that is."""

    node_op_name: str | None = None
    """Name of the NodeOp that carries the upgrade out."""
    node_op_uid: Annotated[str | None, Field(alias="nodeOpUID")] = None
    """UID of that NodeOp; one of the same name and another UID is not this upgrade's."""


def blocked_drain(status: OperationStatus) -> str:
    """What an eviction of the operation is refused for now, or nothing."""
    for condition in status.conditions or ():
        if condition.type == ConditionType.DRAIN_BLOCKED and condition.status == "True":
            return condition.message or "an eviction is refused"
    return ""
