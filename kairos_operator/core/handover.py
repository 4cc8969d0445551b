"""When the replica that acts gives way to another: before the reboot of its own node ends it.

A leader that is killed by a reboot keeps its lease, and nobody acts until that has run out. One that gives way first is
followed within seconds, and its pod is then one like any other, which a drain may evict.

Rules: only for another replica that is ready, elsewhere, and on a node that no operation is about to reboot; once for
each reboot, so that two replicas cannot pass the lease to and fro. A single replica gives way to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.replica import ReplicaView
from kairos_operator.api.status import NodeStatus, Step

_DUE = frozenset({Step.CLAIM, Step.DRAIN, Step.JOB, Step.REBOOT})


def reboot_due(node: NodeView, ops: Iterable[NodeOp]) -> str:
    """What is going to reboot the node, as a text that names this one reboot; empty if nothing is.

    From the claim on: before that, the operation may still find that there is nothing to do on the node.
    """
    for op in ops:
        record = op.status.nodes.get(node.name)
        if record is not None and op.spec.reboot_on_success and _due(node, op, record):
            return f"{op.meta.claim} on {node.name}"
    return ""


def _due(node: NodeView, op: NodeOp, record: NodeStatus) -> bool:
    if record.step is Step.CLAIM:
        return node.claimed_by == str(op.meta.claim)
    behind_it = record.step is Step.REBOOT and node.boot_id != record.boot_id
    return record.step in _DUE and not behind_it


def heir(
    own: ReplicaView,
    others: Iterable[ReplicaView],
    node_of: Callable[[str], NodeView | None],
    flying_on: Callable[[str], Iterable[NodeOp]],
) -> ReplicaView | None:
    """The replica that can act instead of `own`, if there is one: the first by name.

    `flying_on` tells the operations that have a node in flight.
    """

    def fit(other: ReplicaView) -> bool:
        node = node_of(other.node)
        sibling = other.uid != own.uid and other.owner is not None and other.owner == own.owner
        stays = not any(op.spec.reboot_on_success for op in flying_on(other.node))
        up = other.ready and not other.ending and node is not None and node.ready
        return sibling and up and other.node != own.node and stays

    return min(filter(fit, others), key=lambda other: other.name, default=None)
