"""The life of one node as a table of legal steps, and the phase that users see of each.

A step is stored before its first side effect. Nothing leads out of `Done`, so a finished node never starts again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kairos_operator.api.status import NodePhase, NodeStatus, Outcome, Step

LEGAL: Mapping[Step, frozenset[Step]] = {
    Step.WAITING: frozenset({Step.PREFLIGHT, Step.CLAIM, Step.JOB, Step.DONE}),
    Step.PREFLIGHT: frozenset({Step.CLAIM, Step.JOB, Step.DONE}),
    Step.CLAIM: frozenset({Step.DRAIN, Step.JOB, Step.RELEASE}),
    Step.DRAIN: frozenset({Step.JOB, Step.RELEASE}),
    Step.JOB: frozenset({Step.REBOOT, Step.POSTFLIGHT, Step.RELEASE}),
    Step.REBOOT: frozenset({Step.POSTFLIGHT, Step.RELEASE}),
    Step.POSTFLIGHT: frozenset({Step.RELEASE}),
    Step.RELEASE: frozenset({Step.DONE}),
    Step.DONE: frozenset(),
}

# From here on the command may have run, so a cordon may have something to protect others from.
WORK_BEGUN = frozenset({Step.JOB, Step.REBOOT, Step.POSTFLIGHT})


class IllegalStep(Exception):
    """A decision asked for a step that the table does not know: a bug, never a state of the cluster."""


def phase_of(step: Step, outcome: Outcome | None) -> NodePhase:
    """The phase that users see of a node at `step`."""
    if step is Step.WAITING:
        return NodePhase.PENDING
    if step is Step.PREFLIGHT:
        return NodePhase.PREFLIGHT
    if step is Step.DONE:
        return NodePhase.FAILED if outcome is Outcome.FAILED else NodePhase.COMPLETED
    return NodePhase.RUNNING


def entered(record: NodeStatus, step: Step, now: datetime, learned: Mapping[str, Any]) -> NodeStatus:
    """The record after the legal move to `step`, with what was learned on the way; raises IllegalStep."""
    if step not in LEGAL[record.step]:
        raise IllegalStep(f"{record.step} -> {step}")
    changes = {"step": step, "step_started_at": now, **learned}
    if step is Step.DONE:
        # Nothing reads these any more, and a status of thousands of nodes must fit into one object.
        changes |= dict.fromkeys(("node_uid", "boot_id", "job_uid", "rebooted_from"))
    outcome = changes.get("outcome", record.outcome)
    return record.model_copy(update={**changes, "phase": phase_of(step, outcome)})
