"""Who goes next: control-plane nodes first, then the rest, each group by name; as many at once as `concurrency`
(and the room in the status) allows.

A failure with `stopOnFailure`, or a pause, starts no further node; those in flight go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.folding import most_in_flight

# Nodes in one look, which would otherwise keep probes and the lease waiting; the next look goes on.
STARTED_AT_ONCE = 250


def in_order(names: Iterable[str], nodes: Mapping[str, NodeView]) -> list[str]:
    """The nodes in the order in which they are started; one that is not known counts as a worker."""
    return sorted(names, key=lambda name: (name not in nodes or not nodes[name].control_plane, name))


def stopped(op: NodeOp, records: Mapping[str, NodeStatus]) -> bool:
    """Whether a failure has ended the starting of further nodes."""
    return op.spec.stop_on_failure and any(record.outcome is Outcome.FAILED for record in records.values())


def free_slots(op: NodeOp, records: Mapping[str, NodeStatus], leaving: int = 0) -> int:
    """How many nodes may be started now, or once so many have left their slots."""
    if op.meta.paused or op.meta.disowned or op.meta.deleting_since or stopped(op, records):
        return 0
    limit = min(op.spec.concurrency or len(records), most_in_flight(records))
    return max(0, limit - sum(record.in_flight for record in records.values()) + leaving)


def next_in_line(
    op: NodeOp, nodes: Mapping[str, NodeView], records: Mapping[str, NodeStatus], leaving: int = 0
) -> list[str]:
    """The waiting nodes for which there is a slot, or will be once so many have left theirs, in their order, and no
    more than one look starts.
    """
    slots = free_slots(op, records, leaving)
    if not slots:
        return []
    waiting = (name for name, record in records.items() if record.step is Step.WAITING)
    return in_order(waiting, nodes)[: min(slots, STARTED_AT_ONCE)]
