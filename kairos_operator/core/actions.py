"""What a plan may ask for: a closed union of plain values, each of which reads as a sentence in the log.

Every action may be done twice to the same effect: creates carry derived names, deletes and evictions the UID of what
they mean (or the labels of check pods whose nodes are past their check), writes to nodes the resourceVersion that the
decision was made on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from kairos_operator.api.names import Claim, Role
from kairos_operator.api.resources import Resource
from kairos_operator.api.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Create:
    """Make a child of the operation; one of that name that is there already is as good.

    `make` returns its body, which is made when its turn comes: those of thousands of nodes wait at once.
    """

    resource: Resource
    name: str
    make: Callable[[], Mapping[str, Any]] = field(repr=False, compare=False)
    node: str = ""

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"create {self.resource.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a child of the operation, only this very one."""

    resource: Resource
    name: str
    uid: str
    node: str = ""

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"delete {self.resource.kind} {self.name}"


CheckPod = tuple[str, str, str]
"""The node that a check pod is for, the pod's name and its UID."""


@dataclass(frozen=True, slots=True)
class DeleteChecks:
    """Remove the check pods of one role on these nodes at once; nothing makes them again, so their labels are enough.

    `pods` are those that are known to be there.
    """

    role: Role
    pods: tuple[CheckPod, ...]

    @property
    def node(self) -> str:
        """One of the nodes, which stands for all."""
        return self.pods[0][0]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whose check pods go."""
        return tuple(node for node, _, _ in self.pods)

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under; one such request of an operation is under way at once."""
        return f"delete {self.role} pods"


@dataclass(frozen=True, slots=True)
class ClaimNode:
    """Take a node for the operation, and cordon it where `cordon` says so, in one guarded write."""

    node: str
    resource_version: str
    claim: Claim
    cordon: bool

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"claim node {self.node}"


@dataclass(frozen=True, slots=True)
class ReleaseNode:
    """Give a node back: drop the claim, and with `uncordon` lift the operation's own cordon, in one guarded write."""

    node: str
    resource_version: str
    claim: Claim
    uncordon: bool

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"release node {self.node}"


@dataclass(frozen=True, slots=True)
class EvictPod:
    """Ask the Eviction API to end a pod, so that PodDisruptionBudgets hold."""

    node: str
    namespace: str
    name: str
    uid: str
    grace_period_seconds: int | None

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"evict {self.uid}"


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Put the operator's finalizer on the operation, or take it off."""

    present: bool
    node: str = ""

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return "set the finalizer"


@dataclass(frozen=True, slots=True)
class PauseNodeOp:
    """Hand an upgrade's pause, or its end, on to its NodeOp."""

    name: str
    paused: bool
    node: str = ""

    @property
    def subject(self) -> str:
        """What a refusal of this action is remembered under."""
        return f"pause NodeOp {self.name}"


Action = Create | Delete | DeleteChecks | ClaimNode | ReleaseNode | EvictPod | SetFinalizer | PauseNodeOp


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person would want to know: an Event on the operation, and on the node it speaks of."""

    reason: str
    text: str
    node: str = ""
    type: Literal["Normal", "Warning"] = "Normal"


Status = TypeVar("Status", bound=OperationStatus)


@dataclass(frozen=True, slots=True)
class Doubts:
    """Nodes of which something would be concluded, were it sure how they are: they are read live before the next look.

    Those `behind` may have a view in the cache that is an old one. Of those `overdue` the time seems to be up; then
    their children are read as well, since what is seen of them may be as old.
    """

    behind: frozenset[str] = frozenset()
    overdue: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan(Generic[Status]):
    """A decision: the status to store, then the actions that the stored status allows.

    `status` is None where nothing changes. An `urgent` status is stored before any action; one that is not (only
    texts changed) may wait to be stored with others. Each of `chains` is done in order, and ends at its first
    refusal; different chains know nothing of each other. The notes are said once the status is stored.
    """

    status: Status | None = None
    urgent: bool = False
    chains: tuple[tuple[Action, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    recheck_after: float | None = None
    doubts: Doubts = Doubts()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do now."""
        return self.status is None and not self.chains
