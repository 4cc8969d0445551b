"""News in the caches, as keys to look at: which objects a change is news for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import Claim
from kairos_operator.api.objects import Meta, NodeOp, NodeOpUpgrade
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, NODES
from kairos_operator.api.status import Step
from kairos_operator.core import orphans
from kairos_operator.runtime.caches import CLAIM, FLYING, Caches
from kairos_operator.runtime.queue import Queue


class Kind(Enum):
    """What a key names."""

    NODE_OP = NODE_OPS
    UPGRADE = NODE_OP_UPGRADES
    NODE = NODES


class Key(NamedTuple):
    """One object to look at."""

    kind: Kind
    name: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """The object as a log names it, such as `NodeOp default/upgrade`."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.value.kind} {place}{self.name}"


def _gone(old: NodeOp | NodeOpUpgrade | None, new: NodeOp | NodeOpUpgrade | None) -> Meta | None:
    """What is no more: an object that was deleted, or that another of its name stands for, unseen in between."""
    return old.meta if old is not None and (new is None or new.meta.uid != old.meta.uid) else None


@dataclass(frozen=True, slots=True)
class News:
    """Adds keys to the queue as the caches change; `forget` is told the UID of an operation that is gone, and
    `job_seen` that of one with a Job, and the Job's node: a look may come too late to see it.
    """

    caches: Caches
    queue: Queue[Key]
    forget: Callable[[str], None]
    job_seen: Callable[[str, str], None]

    def follow(self) -> None:
        """Let news in the caches become keys, from what they hold already on."""
        self.caches.node_ops.subscribe(self._node_op_changed)
        self.caches.upgrades.subscribe(self._upgrade_changed)
        self.caches.nodes.subscribe(self._node_changed)
        self.caches.jobs.subscribe(self._job_changed)
        self.caches.pods.subscribe(self._child_changed)
        for op in self.caches.node_ops.values():
            self._node_op_changed(None, op)
        for job in self.caches.jobs.values():
            self._note_job(job)
        for up in self.caches.upgrades.values():
            self._upgrade_changed(None, up)
        for node in self.caches.nodes.values():
            self._node_changed(None, node)

    def _node_op_changed(self, old: NodeOp | None, new: NodeOp | None) -> None:
        op = new or old
        assert op is not None
        meta = op.meta
        self.queue.add(Key(Kind.NODE_OP, meta.name, meta.namespace))
        if meta.owner is not None and meta.owner.kind == NODE_OP_UPGRADES.kind:
            self.queue.add(Key(Kind.UPGRADE, meta.owner.name, meta.namespace))
        else:
            self.queue.add(Key(Kind.UPGRADE, meta.name, meta.namespace))
        gone = _gone(old, new)
        if gone is not None:
            self.forget(gone.uid)
            for node in self.caches.nodes.lookup(CLAIM, str(gone.claim)):
                self.queue.add(Key(Kind.NODE, node.name))
        if gone is not None or (new is not None and new.status.phase is not None and new.status.phase.final):
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        """An operation is over: whoever waits for a node may look again."""
        for op in self.caches.node_ops.values():
            if any(record.step is Step.CLAIM for record in op.status.nodes.values()):
                self.queue.add(Key(Kind.NODE_OP, op.meta.name, op.meta.namespace))

    def _upgrade_changed(self, old: NodeOpUpgrade | None, new: NodeOpUpgrade | None) -> None:
        found = new or old
        assert found is not None
        gone = _gone(old, new)
        if gone is not None:
            self.forget(gone.uid)
        self.queue.add(Key(Kind.UPGRADE, found.meta.name, found.meta.namespace))
        if old is not None and new is not None and old.meta.paused != new.meta.paused:
            # Its NodeOp heeds the pause itself; where that could not be handed on, nothing else tells of its end.
            self.queue.add(Key(Kind.NODE_OP, new.meta.name, new.meta.namespace))

    def _node_changed(self, old: NodeView | None, new: NodeView | None) -> None:
        node = new or old
        assert node is not None
        for op in self.caches.node_ops.lookup(FLYING, node.name):
            self.queue.add(Key(Kind.NODE_OP, op.meta.name, op.meta.namespace))
        for claim in orphans.claims_on(new) if new is not None else ():
            # Also an operation that is done with the node: somebody may have lifted the cordon that it kept there.
            known = self._known(claim)
            self.queue.add(
                Key(Kind.NODE_OP, claim.name, claim.namespace) if known else Key(Kind.NODE, node.name)
            )

    def _job_changed(self, old: JobView | None, new: JobView | None) -> None:
        if new is not None:
            self._note_job(new)
        self._child_changed(old, new)

    def _note_job(self, job: JobView) -> None:
        op = self.caches.node_ops.get(job.node_op, job.namespace)
        if op is not None and job.owner is not None and job.owner.uid == op.meta.uid:
            self.job_seen(op.meta.uid, job.node)

    def _child_changed(self, old: JobView | PodView | None, new: JobView | PodView | None) -> None:
        child: Any = new or old
        if child.node_op:
            self.queue.add(Key(Kind.NODE_OP, child.node_op, child.namespace))

    def _known(self, claim: Claim) -> bool:
        op = self.caches.node_ops.get(claim.name, claim.namespace)
        return op is not None and op.meta.uid == claim.uid
