"""Metrics of the rollouts: phases off the caches, durations from the steps as they are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.rollout_metrics import RolloutMetrics

NOW = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)


def _op(version: int, phase: str, **nodes: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": "op", "namespace": "ns", "uid": "u", "resourceVersion": str(version)},
        "spec": {"command": ["true"]},
        "status": {"phase": phase, "nodeStatuses": nodes},
    }


def _node(step: str, phase: str, at: str, **more: str) -> dict[str, str]:
    return {"step": step, "phase": phase, "stepStartedAt": f"2026-01-01T00:{at}Z", **more}


def test_a_rollout_is_counted_as_its_steps_are_stored() -> None:
    registry, caches = CollectorRegistry(), Caches.empty()
    RolloutMetrics(registry, caches, lambda: NOW).follow()
    started = {"startedAt": "2026-01-01T00:00:00Z"}
    caches.node_ops.observed(_op(1, "Running", a=_node("Job", "Running", "00:10", **started)))
    caches.node_ops.observed(_op(2, "Running", a=_node("Reboot", "Running", "01:10", **started)))
    read = registry.get_sample_value
    assert read("kairos_operator_node_step_duration_seconds_sum", {"step": "Job"}) == 60
    assert read("kairos_operator_nodes", {"phase": "Running"}) == 1
    assert read("kairos_operator_operations", {"kind": "NodeOp", "phase": "Running"}) == 1
    assert read("kairos_operator_node_reboots_total") == 0

    done = _node("Done", "Completed", "02:00", outcome="Completed", rebootStatus="completed", **started)
    caches.node_ops.observed(_op(3, "Completed", a=done))
    assert read("kairos_operator_node_duration_seconds_sum", {"outcome": "Completed"}) == 120
    assert read("kairos_operator_node_reboots_total") == 1
    assert read("kairos_operator_operations", {"kind": "NodeOp", "phase": "Completed"}) == 1
    assert read("kairos_operator_nodes", {"phase": "Completed"}) == 0


def test_an_operation_that_is_seen_first_when_it_is_done_counts_no_duration() -> None:
    registry, caches = CollectorRegistry(), Caches.empty()
    RolloutMetrics(registry, caches, lambda: NOW).follow()
    caches.node_ops.observed(_op(1, "Completed", a=_node("Done", "Completed", "02:00", outcome="Completed")))
    assert (
        registry.get_sample_value("kairos_operator_node_duration_seconds_count", {"outcome": "Completed"})
        is None
    )
