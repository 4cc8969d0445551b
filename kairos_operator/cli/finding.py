"""What `why` looks at, and what it finds, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.status import NodeStatus
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.operations import Operation


@dataclass(frozen=True, slots=True)
class OperatorLease:
    """Who acts on the cluster, as far as the Lease tells; `unseen` says why it could not be read."""

    namespace: str = ""
    holder: str = ""
    renewed_at: datetime | None = None
    duration_seconds: float = 15.0
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read about one operation."""

    operation: Operation
    now: datetime
    leases: tuple[OperatorLease, ...] = ()
    nodes: Mapping[str, NodeView] = field(default_factory=dict)  # those in flight, as far as they exist
    pods: tuple[PodView, ...] = ()  # the operation's own
    jobs: tuple[JobView, ...] = ()
    carrier: Operation | None = None  # the NodeOp that carries an upgrade out

    @property
    def flying(self) -> list[tuple[str, NodeStatus]]:
        """The nodes in flight, the one that has waited longest first."""
        records = self.operation.status.nodes
        found = [(name, record) for name, record in records.items() if record.in_flight]
        return sorted(found, key=lambda item: (item[1].step_started_at or self.now, item[0]))


@dataclass(frozen=True, slots=True)
class Finding:
    """What is in the way: one word for programs, a sentence, and the way out."""

    reason: str
    sentence: str
    remedy: str = ""
    node: str = ""
    code: Exit = Exit.UNFINISHED

    def data(self, operation: Operation) -> dict[str, Any]:
        """The finding for `-o json` and `-o yaml`."""
        told = {"operation": operation.title, "namespace": operation.meta.namespace, **asdict(self)}
        told.pop("code")
        return {name: value for name, value in told.items() if value}
