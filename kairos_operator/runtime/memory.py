"""What this process remembers between two looks at an operation; losing it costs reads, or a minute, never safety."""

from __future__ import annotations

from dataclasses import dataclass, field

from kairos_operator.core.actions import Doubts
from kairos_operator.runtime.absent import Absent
from kairos_operator.runtime.chains import Chains
from kairos_operator.runtime.stopwatch import Stopwatch

EVICTION_RETRY_SECONDS = 5.0  # kubectl drain's own interval
_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 30.0
_DOUBLINGS = 10  # more than it takes: without an end the number grows beyond what a float holds within a day


@dataclass(slots=True)
class Refusal:
    """What the API server last said against an action, and when it may be tried again (monotonic seconds)."""

    message: str
    not_before: float
    times: int


@dataclass(slots=True)
class Memory:
    """Per operation: refused actions by subject, nodes known to be free of it, its last status write, the boots that
    its nodes in flight were seen in, since when (monotonic) nodes seem to be back whose reboot pods ended well, when a
    call last said how a node is, the chains under way, the children that are not there, the nodes on which its Job was
    seen, how long its nodes have been at their steps, of which nodes the last look was not sure, and when its upgrade
    was read.
    """

    refusals: dict[str, Refusal] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    pod_refusals: dict[str, tuple[float, str]] = field(
        default_factory=dict
    )  # when asked (monotonic), by node
    status_written: float = float("-inf")
    boots: dict[str, frozenset[str]] = field(default_factory=dict)
    outlived: dict[str, float] = field(default_factory=dict)
    confirmed: dict[str, float] = field(default_factory=dict)
    chains: Chains = field(default_factory=Chains)
    absent: Absent = field(default_factory=Absent)
    jobs_seen: set[str] = field(default_factory=set)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    doubts: Doubts = field(default_factory=Doubts)
    upgrade_read: float = float("-inf")  # when (monotonic) its upgrade was last read live
    deletion_seen: float | None = None  # when (monotonic)

    def keep(self, in_flight: frozenset[str]) -> None:
        """Forget of all other nodes what thousands that are done would make a megabyte of, for each operation."""
        self.absent.keep(in_flight)
        self.released &= in_flight
        self.jobs_seen &= in_flight

    def job_seen(self, node: str) -> None:
        """The operation's Job on a node is there, or was: if it is found missing later, somebody has deleted it."""
        self.jobs_seen.add(node)
        self.absent.begin(node)

    def deleting_for(self, now: float, *, deleting: bool) -> float:
        """Seconds since this process first saw that the operation is to be deleted."""
        if not deleting:
            return 0.0
        if self.deletion_seen is None:
            self.deletion_seen = now
        return now - self.deletion_seen

    def refuse(self, subject: str, message: str, now: float, at_least: float = 0.0) -> None:
        """Remember a refusal; the wait doubles with each one in a row, from 1 s to 30 s, and is `at_least` so long."""
        old = self.refusals.get(subject)
        times = old.times + 1 if old else 1
        wait = min(_FIRST_RETRY_SECONDS * 2 ** min(times - 1, _DOUBLINGS), _LAST_RETRY_SECONDS)
        self.refusals[subject] = Refusal(message, now + max(wait, at_least), times)

    def forget(self, subject: str) -> None:
        """The action went through."""
        self.refusals.pop(subject, None)

    def due(self, subject: str, now: float) -> bool:
        """Whether the action may be tried (again)."""
        refusal = self.refusals.get(subject)
        return refusal is None or now >= refusal.not_before

    def messages(self) -> dict[str, str]:
        """The refusals as decisions read them."""
        return {subject: refusal.message for subject, refusal in self.refusals.items()}
