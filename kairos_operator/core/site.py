"""One node of one operation, as its decisions see it, and the two kinds of decision: stay, or go on to a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import Role
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, RebootStatus, Step
from kairos_operator.core.actions import Action, Note
from kairos_operator.core.folding import MESSAGE_LIMIT
from kairos_operator.core.phases import WORK_BEGUN
from kairos_operator.core.snapshot import ChildKey, Snapshot, child


def bounded(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """`text` in at most `limit` characters; what was cut shows as an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Stay:
    """The node stays in its step: do this meanwhile, say this, and look again after `recheck` seconds."""

    message: str
    chains: tuple[tuple[Action, ...], ...] = ()
    recheck: float | None = None
    learned: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """The node goes on to `step`, for the reason that `message` gives."""

    step: Step
    message: str
    notes: tuple[Note, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)
    by_time: bool = False  # decided by what was not seen in time

    @property
    def concludes(self) -> bool:
        """Whether something is begun on the node, or it counts as done: neither may be by an old view of it."""
        done = self.learned.get("outcome") in (Outcome.COMPLETED, Outcome.SKIPPED)
        return done or self.step in (Step.JOB, Step.POSTFLIGHT)


Decision = Stay | Go


@dataclass(frozen=True, slots=True)
class Site:
    """One node of the operation at one moment."""

    snapshot: Snapshot
    name: str
    record: NodeStatus

    @property
    def op(self) -> NodeOp:
        """The operation."""
        return self.snapshot.op

    @property
    def spec(self) -> NodeOpSpec:
        """The operation's spec."""
        return self.snapshot.op.spec

    @property
    def now(self) -> datetime:
        """The moment of the decision."""
        return self.snapshot.now

    @property
    def node(self) -> NodeView | None:
        """The Node, or None where it does not exist."""
        return self.snapshot.nodes.get(self.name)

    @property
    def claim(self) -> str:
        """The operation as the node's annotations name it."""
        return str(self.op.meta.claim)

    @property
    def job(self) -> JobView | None:
        """The operation's Job on this node."""
        return self.snapshot.jobs.get(self.name)

    def pod(self, role: Role) -> PodView | None:
        """The operation's pod for `role` on this node."""
        return self.snapshot.pods.get(ChildKey(role, self.name))

    def child(self, role: Role) -> str:
        """The name of the child for `role` on this node."""
        return child(self.op, ChildKey(role, self.name))

    @property
    def elapsed(self) -> float:
        """Seconds since the step began, by the stored time; what the process has seen of it, by its monotonic clock."""
        began = self.record.step_started_at
        stored = self.op.status.nodes.get(self.name)
        if stored is not None and stored.step_started_at == began and self.name in self.snapshot.elapsed:
            return self.snapshot.elapsed[self.name]
        return (self.now - began).total_seconds() if began else 0.0

    @property
    def away(self) -> float | None:
        """Seconds that the node has not been Ready for within this step; None while it is, or does not exist."""
        node = self.node
        if node is None or node.ready:
            return None
        if node.ready_since is None:
            return self.elapsed
        return min((self.now - node.ready_since).total_seconds(), self.elapsed)

    def refused(self, *subjects: str) -> str:
        """What the API server last said against one of these actions, or nothing."""
        return next((self.snapshot.refusals[s] for s in subjects if s in self.snapshot.refusals), "")

    def note(self, reason: str, text: str, *, warning: bool = False) -> Note:
        """An Event about this node."""
        return Note(reason, text, self.name, "Warning" if warning else "Normal")


def failed(site: Site, reason: str, message: str, *, by_time: bool = False) -> Go:
    """The node failed. It gives back what it holds first, unless it holds nothing yet.

    Before the command could have run, an own cordon is lifted, since nothing has happened to the node; after that it
    stays, unless `uncordonOnFailure`.
    """
    begun = site.record.step in WORK_BEGUN
    learned: dict[str, Any] = {"outcome": Outcome.FAILED}
    if begun and site.spec.cordon and not site.spec.uncordon_on_failure:
        learned["keep_cordon"] = True
    pod = site.pod(Role.REBOOT)
    told = site.record.rebooted_from is not None or (pod is not None and pod.rebooted)
    if (
        site.record.reboot_status is RebootStatus.PENDING and not told
    ):  # what the node was told is not taken back
        learned["reboot_status"] = RebootStatus.CANCELLED
    step = Step.DONE if site.record.step in (Step.WAITING, Step.PREFLIGHT) else Step.RELEASE
    message = bounded(message)
    return Go(step, message, (site.note(reason, message, warning=True),), learned, by_time)


def completed(site: Site, message: str) -> Go:
    """The node did all that was asked for."""
    return Go(Step.RELEASE, message, learned={"outcome": Outcome.COMPLETED})


def after_check(site: Site) -> Step:
    """The step after the preflight: what holds the node alone first, or the work itself."""
    return Step.CLAIM if site.spec.disrupts else Step.JOB


def first_step(site: Site) -> Step:
    """The step that a node starts with."""
    return Step.PREFLIGHT if site.spec.preflight else after_check(site)


def seconds(number: float) -> str:
    """A duration as people read it, whole units: `45 s`, `12 min`, `2 h 5 min`."""
    whole = int(number)
    if whole < 120:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    if not hours:
        return f"{minutes} min" + (f" {whole % 60} s" if whole % 60 and whole < 600 else "")
    return f"{hours} h" + (f" {minutes} min" if minutes else "")
