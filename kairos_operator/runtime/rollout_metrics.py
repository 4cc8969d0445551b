"""What the rollouts themselves come to, as metrics: operations and nodes by phase, and how long each step takes.

The gauges are read off the caches at each scrape. The durations are taken as the stored steps change, by the replica
that acts, so that each is counted once; their resolution is that of the stored times, a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kairos_operator.api.objects import NodeOp
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import NodePhase, NodeStatus, Phase, RebootStatus, Step
from kairos_operator.runtime.caches import Caches

STEP_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)


class RolloutMetrics(Collector):
    """Collects from `caches`; `follow` begins to count durations."""

    def __init__(self, registry: CollectorRegistry, caches: Caches) -> None:
        self._caches = caches
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
        registry.register(self)

    def follow(self) -> None:
        """Take durations from now on."""
        self._caches.node_ops.subscribe(self._changed)

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
        nodes = GaugeMetricFamily(
            "kairos_operator_nodes", "Nodes of unfinished operations, by phase.", labels=["phase"]
        )
        counts = Counter(
            record.phase
            for op in self._caches.node_ops.values()
            if op.status.phase is not None and not op.status.phase.final
            for record in op.status.nodes.values()
        )
        for node_phase in NodePhase:
            nodes.add_metric([node_phase.value], counts[node_phase])
        yield nodes

    def _changed(self, old: NodeOp | None, new: NodeOp | None) -> None:
        if old is None or new is None or old.meta.uid != new.meta.uid:
            return
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


def _between(began: datetime | None, ended: datetime | None) -> float:
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0
