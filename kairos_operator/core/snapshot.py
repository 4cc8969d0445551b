"""All that a decision about a NodeOp may look at, as one frozen value.

"Missing from the cache" is never a fact: `needs` says what must be known about an operation; whatever of that is not
in the cache is read live, and only then counts as gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import FINALIZER, Role, child_name
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Phase, Step
from kairos_operator.core.rollout import next_in_line


class ChildKey(NamedTuple):
    """One child of an operation: what it is for, and on which node."""

    role: Role
    node: str


class Mark(NamedTuple):
    """A claim's text on a node."""

    claim: str
    node: str


class Standing(StrEnum):
    """What is known of another operation that a node's annotation names."""

    HOLDS = "holds"  # it is there and not done with the node
    DONE = "done"  # it is there, and done with the node
    GONE = "gone"  # read live: it no longer exists


@dataclass(frozen=True, slots=True)
class Images:
    """The images of an operation's pods that the operator's settings name."""

    operator: str = ""
    sentinel: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facts about one NodeOp, at one moment."""

    op: NodeOp
    now: datetime
    images: Images
    nodes: Mapping[str, NodeView]
    operator_pod: str = ""  # <namespace>/<name> of the operator's own pod, which is never evicted
    busy: frozenset[str] = frozenset()  # nodes with calls still under way: nothing is decided on them
    gone: frozenset[str] = frozenset()  # nodes that were read live and do not exist
    listed: frozenset[str] | None = (
        None  # all nodes, as a live list shows them; None where none was asked for
    )
    jobs: Mapping[str, JobView] = field(default_factory=dict)  # the operation's Jobs, by node
    jobs_seen: frozenset[str] = frozenset()  # nodes on which this process has seen the operation's Job
    pods: Mapping[ChildKey, PodView] = field(default_factory=dict)  # its check and reboot pods
    job_pods: Mapping[str, tuple[PodView, ...]] = field(default_factory=dict)  # the pods of its Jobs, by node
    pod_refusals: Mapping[str, str] = field(default_factory=dict)  # why a Job's pod cannot be made, by node
    node_pods: Mapping[str, tuple[PodView, ...]] = field(default_factory=dict)  # all pods of draining nodes
    standings: Mapping[Mark, Standing] = field(default_factory=dict)  # of other operations' claims
    holders: Mapping[str, str] = field(
        default_factory=dict
    )  # who else is at work on nodes that are in flight, or to be
    seen_after: frozenset[str] = (
        frozenset()
    )  # nodes whose view is from after the boot that their reboot pod ended
    recent: frozenset[str] | None = None  # nodes whose views are from lately; None where those of all are
    asked: frozenset[str] | None = None  # nodes read live with their children for this look; None for all
    released: frozenset[str] = frozenset()  # nodes known, by a live read or our own write, to be free of us
    elapsed: Mapping[str, float] = field(
        default_factory=dict
    )  # seconds at the stored step, by node; where it is not known, by the wall clock
    deleting_for: float = 0.0  # seconds that this process has known of the operation's deletion
    refusals: Mapping[str, str] = field(
        default_factory=dict
    )  # what the API server last said, by action subject

    def bare(self) -> Snapshot:
        """What the bodies of children are made of, and no more: they are made when their turn comes, and the facts
        about thousands of nodes are not to be kept until then.
        """
        op = replace(self.op, status=NodeOpStatus())
        return Snapshot(op=op, now=self.now, images=self.images, nodes={})


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known before an operation is planned, and is read live where the cache does not have it."""

    nodes: frozenset[str] = frozenset()
    recent: frozenset[str] = frozenset()  # nodes on which something is begun next
    starts: bool = False  # whether nodes are to be started, now or once those that leave have left
    listing: bool = False  # of all nodes, when the targets are resolved: a watch may be behind
    children: tuple[ChildKey, ...] = ()
    drains: tuple[str, ...] = ()
    standings: frozenset[Mark] = frozenset()
    releases: tuple[str, ...] = ()


_CHILDREN: Mapping[Step, tuple[Role, ...]] = {
    Step.PREFLIGHT: (Role.PREFLIGHT,),
    Step.JOB: (Role.JOB, Role.REBOOT),
    Step.REBOOT: (Role.REBOOT,),
    Step.POSTFLIGHT: (Role.POSTFLIGHT,),
    Step.RELEASE: (Role.JOB, Role.REBOOT),
}
_CLAIMED = frozenset({Step.CLAIM, Step.DRAIN, Step.JOB, Step.REBOOT, Step.POSTFLIGHT, Step.RELEASE})


def unresolved(op: NodeOp) -> bool:
    """Whether the targets are still to be found: before the start, or in a status of the Go operator, which lists a
    node only once it has started it.
    """
    return op.status.phase in (None, Phase.PENDING) or op.status.started_at is None


def lacks_finalizer(op: NodeOp) -> bool:
    """Whether the finalizer is still to be set that lifts the operation's cordons when it is deleted."""
    return op.spec.disrupts and FINALIZER not in op.meta.finalizers


def children_of(node: str, step: Step) -> tuple[ChildKey, ...]:
    """The children that decisions at a step ask for; nobody makes them before it is stored that the step is entered."""
    return tuple(ChildKey(role, node) for role in _CHILDREN.get(step, ()))


def needs(op: NodeOp, nodes: Mapping[str, NodeView], busy: frozenset[str] = frozenset()) -> Needs:
    """What must be known to plan `op`, given the nodes in the cache, and those on which nothing is decided now."""
    records = op.status.nodes
    flying = {name: one for name, one in records.items() if one.in_flight and name not in busy}
    claim = str(op.meta.claim)
    children = tuple(
        key
        for name, record in flying.items()
        for key in children_of(name, record.step)
        if key.role is not Role.REBOOT or op.spec.reboot_on_success
    )
    wanted = set(flying)
    recent = {name for name, record in flying.items() if _begins(record)}
    due: list[str] = []
    if not op.status.phase or not op.status.phase.final:
        line = next_in_line(op, nodes, records)
        wanted.update(line)
        leaving = sum(record.step is Step.RELEASE for record in flying.values())
        # The slots of those may be free within this look; and with thousands, the order is work.
        due = next_in_line(op, nodes, records, leaving) if leaving else line
        recent.update(due)
    return Needs(
        nodes=frozenset(wanted),
        recent=frozenset(recent),
        starts=bool(due) or unresolved(op),
        listing=unresolved(op) and not op.meta.deleting_since and not lacks_finalizer(op),
        children=children,
        drains=tuple(
            name for name, record in flying.items() if _drains_now(op, record, nodes.get(name), claim)
        ),
        standings=frozenset(_other_claims(flying, nodes, claim)),
        releases=tuple(
            name
            for name, record in flying.items()
            if op.spec.disrupts and _may_be_ours_unseen(op, record, nodes.get(name), claim)
        ),
    )


def _begins(record: NodeStatus) -> bool:
    """Whether the node's Job may be made next."""
    return record.step in (Step.CLAIM, Step.DRAIN) or (record.step is Step.JOB and not record.job_uid)


def works_on(op: NodeOp, node: str) -> bool:
    """Whether an operation is past its claim on a node and not done with it, whatever the node itself says: a Node that
    was deleted and registered anew carries no claim, and the work goes on all the same.
    """
    record = op.status.nodes.get(node)
    active = (
        op.spec.disrupts and not op.meta.deleting_since and not (op.status.phase and op.status.phase.final)
    )
    return bool(active and record and record.step in _CLAIMED and record.step is not Step.CLAIM)


def _drains_now(op: NodeOp, record: NodeStatus, node: NodeView | None, claim: str) -> bool:
    if not op.spec.drains or op.meta.deleting_since:
        return False
    claimed = node is not None and node.claimed_by == claim
    return record.step is Step.DRAIN or (record.step is Step.CLAIM and claimed)


def _other_claims(
    flying: Mapping[str, NodeStatus], nodes: Mapping[str, NodeView], claim: str
) -> Iterator[Mark]:
    for name, record in flying.items():
        node = nodes.get(name)
        if record.step is Step.CLAIM and node is not None:
            texts = {node.claimed_by, node.cordoned_by} - {"", claim}
            yield from (Mark(text, name) for text in sorted(texts))


def _may_be_ours_unseen(op: NodeOp, record: NodeStatus, node: NodeView | None, claim: str) -> bool:
    """Whether a claim of ours may stand on the node though the cache does not show it (a write without an answer)."""
    leaving = record.step is Step.RELEASE or (op.meta.deleting_since and record.step in _CLAIMED)
    return bool(leaving) and node is not None and claim not in (node.claimed_by, node.cordoned_by)


def child(op: NodeOp, key: ChildKey) -> str:
    """The name of a child of the operation."""
    return child_name(op.meta.name, op.meta.uid, key.node, key.role)
