"""Plays whole rollouts on plain facts: plans are applied at once, and a minimal cluster acts between the plans.

A settling ends only when planning again yields nothing, so every test that plays a rollout asserts that it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kairos_operator.api.cluster import NodeView, parse_job, parse_pod
from kairos_operator.api.names import FINALIZER
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade, parse_node_op
from kairos_operator.api.resources import JOBS, NODE_OPS, PODS
from kairos_operator.api.status import NodeOpStatus, NodeOpUpgradeStatus, Phase
from kairos_operator.core import nodeop, upgrade
from kairos_operator.core.actions import (
    Action,
    ClaimNode,
    Create,
    Delete,
    DeleteChecks,
    EvictPod,
    Note,
    PauseNodeOp,
    Plan,
    ReleaseNode,
    SetFinalizer,
)
from kairos_operator.core.snapshot import ChildKey, Snapshot, Standing, needs
from kairos_operator.core.upgrade import UpgradeSnapshot
from tests.core.cluster import Cluster, role_of
from tests.core.world import IMAGES, at, pod

TICK_SECONDS = 10
LOOKS = 40  # a settling that takes more plans than this does not converge


@dataclass
class Rollout(Cluster):
    """One operation and the cluster under it. `forgetful`: the operator restarts before each look."""

    op: NodeOp | None = None
    up: NodeOpUpgrade | None = None
    forgetful: bool = False
    budgets: dict[str, str] = field(default_factory=dict)  # by pod path: why its eviction is refused
    standings: dict[str, Standing] = field(default_factory=dict)  # by claim, of other operations
    before_apply: Callable[[Plan[NodeOpStatus]], None] | None = None
    released: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, op: NodeOp, *nodes: NodeView, **facts: Any) -> Rollout:
        """A NodeOp on these nodes."""
        return cls({view.name: view for view in nodes}, op=op, **facts)

    @classmethod
    def of_upgrade(cls, up: NodeOpUpgrade, *nodes: NodeView, **facts: Any) -> Rollout:
        """A NodeOpUpgrade on these nodes."""
        return cls({view.name: view for view in nodes}, up=up, **facts)

    def look(self) -> Snapshot:
        """What the operator sees: what `needs` asks for, and the caches, which are never behind here."""
        assert self.op is not None
        if self.forgetful:
            self.released.clear()
        op, found = self.op, needs(self.op, self.nodes)
        claim = str(op.meta.claim)
        for name in found.releases:
            view = self.nodes.get(name)
            if view is None or claim not in (view.claimed_by, view.cordoned_by):
                self.released.add(name)
        own = [one for one in self.pods.values() if one.owner and one.owner.uid == op.meta.uid]
        return Snapshot(
            op=op,
            now=at(self.seconds),
            images=IMAGES,
            nodes=dict(self.nodes),
            gone=frozenset(found.nodes - self.nodes.keys()),
            listed=frozenset(self.nodes) if found.listing else None,
            jobs={job.node: job for job in self.jobs.values()},
            pods={ChildKey(role_of(one), one.operation_node): one for one in own},
            job_pods={job.node: (pod(job.name, node_op=op.meta.name),) for job in self.jobs.values()},
            node_pods={
                name: tuple(one for one in self.pods.values() if one.node == name) for name in found.drains
            },
            standings={mark: self.standings.get(mark.claim, Standing.GONE) for mark in found.standings},
            seen_after=frozenset(self.nodes),
            released=frozenset(self.released),
            refusals=dict(self.refusals),
        )

    def settle(self) -> None:
        """Plan and apply until nothing is left to do now; planning once more must yield nothing."""
        for _ in range(LOOKS):
            busy = self._look_at_upgrade() if self.up else False
            if self.op is not None:
                made = nodeop.plan(self.look())
                self._apply(made)
                busy = busy or not self._quiet(made)
            if not busy:
                return
        raise AssertionError("planning does not converge:\n" + "\n".join(self.story[-20:]))

    def _quiet(self, made: Plan[NodeOpStatus]) -> bool:
        again = made.recheck_after == 0.0
        refused = all(
            any(action.subject in self.refusals for action in chain) or not chain for chain in made.chains
        )
        return made.status is None and refused and not again

    def run(self, ticks: int = 60) -> Rollout:
        """Let time pass until the operation is over."""
        for _ in range(ticks):
            self.settle()
            if self.op is None or (self.op.status.phase and self.op.status.phase.final):
                return self
            self.tick()
        raise AssertionError("the operation does not end:\n" + "\n".join(self.story[-20:]))

    def tick(self, times: int = 1) -> None:
        """Settle, let the cluster act, and let time pass."""
        for _ in range(times):
            self.settle()
            self.seconds += TICK_SECONDS
            self.act()

    @property
    def status(self) -> NodeOpStatus:
        """The operation's status."""
        assert self.op is not None
        return self.op.status

    @property
    def phase(self) -> Phase | None:
        """Its phase."""
        return self.status.phase

    def message(self, name: str) -> str:
        """What is said of a node."""
        return self.status.nodes[name].message or ""

    def _apply(self, made: Plan[NodeOpStatus]) -> None:
        assert self.op is not None
        if self.before_apply is not None:
            self.before_apply(made)
        if made.status is not None:
            stored = NodeOpStatus.model_validate(made.status.render())
            self._tell_status(stored)
            self.op = replace(self.op, status=stored)
        self._tell_notes(made.notes)
        for chain in made.chains:
            for action in chain:
                if not self._do(action):
                    break

    def _look_at_upgrade(self) -> bool:
        assert self.up is not None
        made = upgrade.plan(UpgradeSnapshot(self.up, self.op, at(self.seconds)))
        if made.status is not None:
            self.up = replace(self.up, status=NodeOpUpgradeStatus.model_validate(made.status.render()))
        for action in (action for chain in made.chains for action in chain):
            self._do(action)
        return not made.empty

    def _do(self, action: Action) -> bool:
        refusal = self._refusal(action)
        if refusal:
            if self.refusals.get(action.subject) != refusal:
                self.tell("refused", f"{self._spoken(action)}: {refusal}")
            self.refusals[action.subject] = refusal
            return False
        self.refusals.pop(action.subject, None)
        self.tell("do", self._spoken(action))
        match action:
            case Create():
                self._create(action)
            case Delete():
                self.remove(action.name)
            case DeleteChecks():
                self.remove(*(name for _, name, _ in action.pods))
            case EvictPod():
                path = f"{action.namespace}/{action.name}"
                self.pods[path] = replace(self.pods[path], deleting_since=at(self.seconds + 30))
            case ClaimNode():
                self.claim(action)
            case ReleaseNode():
                self.release(action)
                self.released.add(action.node)
            case SetFinalizer():
                self._finalizer(action)
            case PauseNodeOp():
                assert self.op is not None
                meta = replace(self.op.meta, paused=action.paused, paused_by_owner=action.paused)
                self.op = replace(self.op, meta=meta)
        return True

    def _refusal(self, action: Action) -> str:
        return (
            self.budgets.get(f"{action.namespace}/{action.name}", "") if isinstance(action, EvictPod) else ""
        )

    def _create(self, action: Create) -> None:
        number = str(next(self.versions))
        made = action.make()
        body = {**made, "metadata": {**made["metadata"], "uid": f"uid-{number}", "resourceVersion": number}}
        if action.resource == JOBS:
            assert action.name not in self.jobs, "a Job is made twice"
            self.jobs[action.name] = parse_job(body)
        elif action.resource == PODS:
            view = parse_pod(body)
            assert view.path not in self.pods, "a pod is made twice"
            self.pods[view.path] = replace(view, phase="Pending")
        elif action.resource == NODE_OPS:
            assert self.op is None
            self.op = parse_node_op({**body, "metadata": {**body["metadata"], "generation": 1}})
        self.created.append(f"{action.resource.kind} {action.node}")

    def _finalizer(self, action: SetFinalizer) -> None:
        assert self.op is not None
        others = tuple(one for one in self.op.meta.finalizers if one != FINALIZER)
        left = (*others, FINALIZER) if action.present else others
        self.op = replace(self.op, meta=replace(self.op.meta, finalizers=left))
        if self.op.meta.deleting_since and not left:
            self.op = None

    def _spoken(self, action: Action) -> str:
        if isinstance(action, EvictPod):
            return f"evict {action.namespace}/{action.name}"
        if isinstance(action, SetFinalizer) and not action.present:
            return "take the finalizer off"
        cordons = [word for word in ("cordon", "uncordon") if getattr(action, word, False)]
        return action.subject + "".join(f", {word}ing it" for word in cordons)

    def _tell_status(self, new: NodeOpStatus) -> None:
        old = self.status
        for name, record in new.nodes.items():
            known = old.nodes.get(name)
            if known is None or (known.phase, known.message) != (record.phase, record.message):
                self.tell("node", f"{name} {record.phase}: {record.message or ''}".rstrip(": "))
        if (old.phase, old.message) != (new.phase, new.message):
            self.tell("status", f"{new.phase}: {new.message}")

    def _tell_notes(self, notes: tuple[Note, ...]) -> None:
        for note in notes:
            self.tell("event", f"{note.type} {note.reason}: {note.text}")
