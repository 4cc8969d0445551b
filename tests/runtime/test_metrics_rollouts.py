"""What alerts are made of: how long a node is stuck, which drains are blocked, which operations ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.metrics import Metrics
from kairos_operator.runtime.rollout_metrics import RolloutMetrics

NOW = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)


def _op(
    version: int, phase: str, nodes: dict[str, dict[str, str]] | None = None, *, blocked: bool = False
) -> dict[str, Any]:
    told = {"type": "DrainBlocked", "status": "True", "reason": "EvictionRefused", "message": "a budget"}
    conditions = [{**told, "lastTransitionTime": "2026-01-01T00:00:00Z"}] if blocked else []
    return {
        "metadata": {"name": "op", "namespace": "ns", "uid": "u", "resourceVersion": str(version)},
        "spec": {"command": ["true"]},
        "status": {"phase": phase, "nodeStatuses": nodes or {}, "conditions": conditions},
    }


def _upgrade(version: int, phase: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "up", "namespace": "ns", "uid": "v", "resourceVersion": str(version)},
        "spec": {"image": "i"},
        "status": {"phase": phase},
    }


def _node(step: str, minute: int) -> dict[str, str]:
    return {"step": step, "phase": "Running", "stepStartedAt": f"2026-01-01T00:{minute:02}:00Z"}


def test_the_longest_of_each_step_counts_and_only_while_it_is_in_flight() -> None:
    registry, caches = CollectorRegistry(), Caches.empty()
    RolloutMetrics(registry, caches, lambda: NOW)
    nodes = {"a": _node("Reboot", 10), "b": _node("Reboot", 40), "c": _node("Drain", 59)}
    caches.node_ops.observed(_op(1, "Running", nodes, blocked=True))

    def longest(step: str) -> float | None:
        return registry.get_sample_value("kairos_operator_node_step_longest_seconds", {"step": step})

    assert (longest("Reboot"), longest("Drain"), longest("Job")) == (3000, 60, 0)
    assert longest("Done") is None
    assert registry.get_sample_value("kairos_operator_blocked_drains") == 1
    caches.node_ops.observed(_op(2, "Failed", nodes))
    assert longest("Reboot") == 0
    assert registry.get_sample_value("kairos_operator_blocked_drains") == 0


def test_an_end_is_counted_once_and_is_there_as_zero_before() -> None:
    registry, caches = CollectorRegistry(), Caches.empty()
    RolloutMetrics(registry, caches, lambda: NOW).follow()

    def ended(kind: str, phase: str) -> float | None:
        labels = {"kind": kind, "phase": phase}
        return registry.get_sample_value("kairos_operator_operations_ended_total", labels)

    assert ended("NodeOp", "Failed") == 0
    caches.node_ops.observed(_op(1, "Running"))
    caches.node_ops.observed(_op(2, "Failed"))
    caches.node_ops.observed(_op(3, "Failed"))
    caches.upgrades.observed(_upgrade(4, "Running"))
    caches.upgrades.observed(_upgrade(5, "Completed"))
    assert ended("NodeOp", "Failed") == 1
    assert (ended("NodeOpUpgrade", "Completed"), ended("NodeOpUpgrade", "Failed")) == (1, 0)


def test_evictions_and_reviews_are_counted_by_what_came_of_them() -> None:
    metrics = Metrics()
    metrics.follow_certificate("webhook", lambda: None)
    for code in ("201", "404", "429", "429", "500", "<error>"):
        metrics.count_call("create", "pods/eviction", code, 0.01)
    metrics.count_review("/validate-x", 200, 0.002)
    lines = generate_latest(metrics.registry).decode().splitlines()
    for line in (
        'kairos_operator_evictions_total{result="accepted"} 2.0',
        'kairos_operator_evictions_total{result="refused"} 2.0',
        'kairos_operator_evictions_total{result="failed"} 2.0',
        'controller_runtime_webhook_requests_total{code="200",webhook="/validate-x"} 1.0',
        'controller_runtime_webhook_latency_seconds_count{webhook="/validate-x"} 1.0',
        'kairos_operator_certificate_expiry_timestamp_seconds{certificate="webhook"} NaN',
    ):
        assert line in lines
