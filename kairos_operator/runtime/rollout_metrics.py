"""What the rollouts themselves come to, as metrics: operations and nodes by phase, and how long each step takes.

The gauges are read off the caches at each scrape. The durations are taken as the stored steps change, by the replica
that acts, so that each is counted once; their resolution is that of the stored times, a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kairos_operator.api.conditions import ConditionType
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import NodePhase, NodeStatus, Phase, RebootStatus, Step
from kairos_operator.runtime.caches import Caches

STEP_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)


class RolloutMetrics(Collector):
    """Collects from `caches`; `follow` begins to count durations and endings. `now` tells the wall time."""

    def __init__(self, registry: CollectorRegistry, caches: Caches, now: Callable[[], datetime]) -> None:
        self._caches = caches
        self._now = now
        self._step_seconds = Histogram(
            "kairos_operator_node_step_duration_seconds",
            "How long nodes were in each step of an operation.",
            ["step"],
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self._node_seconds = Histogram(
            "kairos_operator_node_duration_seconds",
            "How long nodes were in flight, by outcome.",
            ["outcome"],
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self._reboots = CounterMetric(
            "kairos_operator_node_reboots", "Reboots that were proven.", registry=registry
        )
        self._ended = CounterMetric(
            "kairos_operator_operations_ended",
            "Operations that came to an end, by kind and phase.",
            ["kind", "phase"],
            registry=registry,
        )
        for kind in (NODE_OPS.kind, NODE_OP_UPGRADES.kind):
            for phase in (Phase.COMPLETED, Phase.FAILED):
                self._ended.labels(kind, phase.value)  # there from the beginning, so that the first counts
        registry.register(self)

    def follow(self) -> None:
        """Take durations and endings from now on."""
        self._caches.node_ops.subscribe(self._changed)
        self._caches.upgrades.subscribe(self._upgrade_changed)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as they are now."""
        operations = GaugeMetricFamily(
            "kairos_operator_operations", "Operations by kind and phase.", labels=["kind", "phase"]
        )
        for kind, values in (
            (NODE_OPS.kind, self._caches.node_ops.values()),
            (NODE_OP_UPGRADES.kind, self._caches.upgrades.values()),
        ):
            phases = Counter(found.status.phase or Phase.PENDING for found in values)
            for phase in Phase:
                operations.add_metric([kind, phase.value], phases[phase])
        yield operations
        yield from self._of_nodes()

    def _of_nodes(self) -> Iterator[GaugeMetricFamily]:
        running = [
            op
            for op in self._caches.node_ops.values()
            if op.status.phase is not None and not op.status.phase.final
        ]
        records = [record for op in running for record in op.status.nodes.values()]
        nodes = GaugeMetricFamily(
            "kairos_operator_nodes", "Nodes of unfinished operations, by phase.", labels=["phase"]
        )
        counts = Counter(record.phase for record in records)
        for node_phase in NodePhase:
            nodes.add_metric([node_phase.value], counts[node_phase])
        yield nodes
        longest = GaugeMetricFamily(
            "kairos_operator_node_step_longest_seconds",
            "How long the node that is longest in a step has been in it; 0 where none is.",
            labels=["step"],
        )
        now = self._now()
        for step in Step:
            if step not in (Step.WAITING, Step.DONE):
                ages = (_between(record.step_started_at, now) for record in records if record.step is step)
                longest.add_metric([step.value], max(ages, default=0.0))
        yield longest
        blocked = GaugeMetricFamily(
            "kairos_operator_blocked_drains", "Operations of which a pod's eviction is refused now."
        )
        blocked.add_metric([], sum(_drain_blocked(op) for op in running))
        yield blocked

    def _count_end(self, kind: str, old: Phase | None, new: Phase | None) -> None:
        if new is not None and new.final and not (old is not None and old.final):
            self._ended.labels(kind, new.value).inc()

    def _upgrade_changed(self, old: NodeOpUpgrade | None, new: NodeOpUpgrade | None) -> None:
        if old is not None and new is not None and old.meta.uid == new.meta.uid:
            self._count_end(NODE_OP_UPGRADES.kind, old.status.phase, new.status.phase)

    def _changed(self, old: NodeOp | None, new: NodeOp | None) -> None:
        if old is None or new is None or old.meta.uid != new.meta.uid:
            return
        self._count_end(NODE_OPS.kind, old.status.phase, new.status.phase)
        before = old.status.nodes
        for name, record in new.status.nodes.items():
            known = before.get(name)
            if known is not None and known.step is not record.step:
                self._moved(known, record)

    def _moved(self, old: NodeStatus, new: NodeStatus) -> None:
        if old.in_flight:
            self._step_seconds.labels(old.step.value).observe(
                _between(old.step_started_at, new.step_started_at)
            )
        if new.step is Step.DONE and new.outcome is not None:
            began = new.started_at or new.step_started_at
            self._node_seconds.labels(new.outcome.value).observe(_between(began, new.step_started_at))
        proven = RebootStatus.COMPLETED
        if new.reboot_status is proven and old.reboot_status is not proven:
            self._reboots.inc()


def _drain_blocked(op: NodeOp) -> bool:
    return any(
        found.type == ConditionType.DRAIN_BLOCKED and found.status == "True"
        for found in op.status.conditions or ()
    )


def _between(began: datetime | None, ended: datetime | None) -> float:
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0
