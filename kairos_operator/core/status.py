"""An operation's status from its nodes' records: the phase, the counts, the conditions, one sentence.

`Completed` only when every target is, `Failed` only once nothing is in flight; both are final. A status that says
nothing new is not written: times change only with what they are the time of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from kairos_operator.api.conditions import Condition, ConditionType, carried_over
from kairos_operator.api.objects import Meta
from kairos_operator.api.status import (
    NodeStatus,
    OperationStatus,
    Outcome,
    Phase,
    Step,
    Summary,
)
from kairos_operator.core.folding import SMALL, is_folded
from kairos_operator.core.site import bounded

S = TypeVar("S", bound=OperationStatus)

FOLDED = "There are too many nodes for one object: entries of finished nodes say only how they ended"
EMPTY_SELECTION = "No node matches the nodeSelector; there was nothing to do"


def summary(records: Mapping[str, NodeStatus]) -> Summary:
    """How many nodes are where."""
    outcomes = Counter(record.outcome for record in records.values() if record.step is Step.DONE)
    pending = sum(record.step is Step.WAITING for record in records.values())
    done = sum(outcomes.values())
    return Summary(
        total=len(records),
        pending=pending,
        running=len(records) - pending - done,
        completed=outcomes[Outcome.COMPLETED],
        skipped=outcomes[Outcome.SKIPPED],
        failed=outcomes[Outcome.FAILED],
        progress=f"{done}/{len(records)}",
    )


def phase(counts: Summary, *, stopped: bool) -> Phase:
    """The operation's phase, given whether a failure has ended the starting of further nodes."""
    if counts.running or (counts.pending and not stopped):
        return Phase.RUNNING
    return Phase.FAILED if counts.failed else Phase.COMPLETED


def sentence(counts: Summary, now_phase: Phase, records: Mapping[str, NodeStatus], *, paused: bool) -> str:
    """The operation in one sentence."""
    if not counts.total:
        return EMPTY_SELECTION
    done = counts.completed + counts.skipped
    skipped = f" ({counts.skipped} skipped)" if counts.skipped else ""
    if now_phase is Phase.COMPLETED:
        return ("The node is done" if counts.total == 1 else f"All {counts.total} nodes are done") + skipped
    bad = sorted(name for name, record in records.items() if record.outcome is Outcome.FAILED)
    failures = f"; failed: {', '.join(bad[:5])}" + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    if now_phase is Phase.FAILED:
        untouched = f"; {counts.pending} not started" if counts.pending else ""
        return f"{done} of {counts.total} nodes are done{skipped}{failures}{untouched}"
    held = "; paused, no further node is started" if paused else ""
    text = f"{done} of {counts.total} nodes are done{skipped}, {counts.running} in flight"
    return text + (failures if bad else "") + held


def conditions(
    meta: Meta, now: datetime, now_phase: Phase, message: str, blocked: Sequence[str], *, folded: bool = False
) -> list[Condition]:
    """The conditions of an operation in `now_phase`."""
    running = now_phase in (Phase.PENDING, Phase.RUNNING)
    texts: list[tuple[ConditionType, bool, str, str]] = [
        (ConditionType.RECONCILING, running, now_phase.value, message),
        (ConditionType.COMPLETE, now_phase is Phase.COMPLETED, now_phase.value, message),
        (ConditionType.FAILED, now_phase is Phase.FAILED, now_phase.value, message),
        (ConditionType.STALLED, now_phase is Phase.FAILED, now_phase.value, message),
    ]
    if meta.paused and running:
        texts.append(
            (ConditionType.PAUSED, True, "Annotated", "No further node is started until the annotation goes")
        )
    if blocked and running:
        texts.append((ConditionType.DRAIN_BLOCKED, True, "EvictionRefused", bounded("; ".join(blocked))))
    if folded:
        texts.append((ConditionType.DETAILS_FOLDED, True, "TooManyNodes", FOLDED))
    return [
        Condition(
            type=kind,
            status="True" if holds else "False",
            reason=reason,
            message=text if holds else "",
            last_transition_time=now,
            observed_generation=meta.generation or None,
        )
        for kind, holds, reason, text in texts
    ]


def stamped(old: NodeStatus, new: NodeStatus, now: datetime) -> NodeStatus:
    """`new`, with the time of the change where it differs from `old`."""
    if new == old:
        return old
    return new.model_copy(update={"last_updated": now})


def settled(
    meta: Meta, stored: S, now: datetime, blocked: Sequence[str], changes: Mapping[str, Any]
) -> S | None:
    """`stored` with `changes`, its conditions and times; None where that says nothing new."""
    new = stored.model_copy(update=dict(changes))
    assert new.phase is not None
    folded = len(new.nodes) > SMALL and any(map(is_folded, new.nodes.values()))
    wanted = conditions(meta, now, new.phase, new.message or "", blocked, folded=folded)
    final = {"completed_at": new.completed_at or now} if new.phase.final else {}
    new = new.model_copy(
        update={
            "conditions": carried_over(wanted, stored.conditions or []),
            "observed_generation": meta.generation or None,
            "last_updated": stored.last_updated,
            **final,
        }
    )
    if new == stored:
        return None
    return new.model_copy(update={"last_updated": now})


def urgent(old: OperationStatus, new: OperationStatus) -> bool:
    """Whether more than texts changed, so that side effects must wait until the status is stored."""
    if old.phase != new.phase:
        return True
    before = old.nodes
    return any(
        record is not before.get(name) and _facts(record) != _facts(before.get(name))
        for name, record in new.nodes.items()
    )


def _facts(record: NodeStatus | None) -> tuple[object, ...]:
    if record is None:
        return ()
    # Nothing is done because a node is at Reboot: what reboots it stands since before the Job. So that step may be
    # stored together with what comes next.
    step = Step.JOB if record.step is Step.REBOOT else record.step
    return (
        step,
        record.outcome,
        record.job_uid,
        record.boot_id,
        record.keep_cordon,
        record.reboot_status,
    )
