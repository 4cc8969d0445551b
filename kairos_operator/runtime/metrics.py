"""What the operator counts, for Prometheus.

Where controller-runtime and client-go have a metric of that meaning, it has their name here, so that existing
dashboards and alerts keep working; the rest starts with `kairos_operator_`. Labels only have values from small,
fixed sets: never the name of an object.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from kairos_operator.api.objects import KINDS

Outcome = Literal["success", "requeue_after", "requeue", "error"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
# the reasons for which a watch ends that are worth telling apart; anything else counts as "other"
WATCH_ENDS = frozenset({"closed", "Expired", "Gone", "Unreachable", "Forbidden", "TooManyRequests"})
EVICTIONS = ("accepted", "refused", "failed")


class Metrics:
    """All collectors of one operator, in a registry of its own."""

    def __init__(self) -> None:  # long: one collector after another
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._queue_depth = self._gauge("workqueue_depth", "Keys that wait for a worker.", "name")
        self._queue_seconds = self._histogram(
            "workqueue_queue_duration_seconds", "How long keys waited for a worker.", "name"
        )
        self._reconciles = self._counter(
            "controller_runtime_reconcile", "Looks at an object, by how they ended.", "controller", "result"
        )
        self._reconcile_errors = self._counter(
            "controller_runtime_reconcile_errors", "Looks that failed, by reason.", "controller", "reason"
        )
        for kind in KINDS:
            self._reconcile_errors.labels(
                kind, "Bug"
            )  # an alert is on it, and a counter born with 1 has no increase
        self._reconcile_seconds = self._histogram(
            "controller_runtime_reconcile_time_seconds", "How long one look at an object took.", "controller"
        )
        self._calls = self._counter(
            "rest_client_requests", "Calls to the API server, by answer.", "verb", "resource", "code"
        )
        self._call_seconds = self._histogram(
            "rest_client_request_duration_seconds", "How long calls took.", "verb", "resource"
        )
        self._bytes = self._counter(
            "kairos_operator_api_bytes",
            "Bytes of bodies to and from the API server.",
            "verb",
            "resource",
            "direction",
        )
        self._lag = Histogram(
            "kairos_operator_event_loop_lag_seconds",
            "How late the event loop was, looked at ten times a second.",
            buckets=LAG_SECONDS,
            registry=self.registry,
        )
        self._evictions = self._counter(
            "kairos_operator_evictions", "Evictions that were asked for, by what came of it.", "result"
        )
        for result in EVICTIONS:
            self._evictions.labels(result)
        self._reviews = self._counter(
            "controller_runtime_webhook_requests", "Admission reviews, by HTTP status.", "webhook", "code"
        )
        self._review_seconds = self._histogram(
            "controller_runtime_webhook_latency_seconds", "How long admission reviews took.", "webhook"
        )
        self._of_reviews: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._certificate_ends = self._gauge(
            "kairos_operator_certificate_expiry_timestamp_seconds",
            "When the certificate that is served ends, in seconds since 1970; NaN while there is none.",
            "certificate",
        )
        self._leader = self._gauge("leader_election_master_status", "1 while this replica leads.", "name")
        self._watch_ends = self._counter(
            "kairos_operator_watch_ends", "Watches that ended, by reason.", "resource", "reason"
        )
        self._cached = self._gauge(
            "kairos_operator_cached_objects", "Objects that are kept in memory.", "resource"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=SECONDS, registry=self.registry)

    def follow_queue(self, name: str, depth: Callable[[], int]) -> Callable[[float], None]:
        """Show the depth of a queue; returns what its `on_start` is to be."""
        self._queue_depth.labels(name).set_function(depth)
        return self._queue_seconds.labels(name).observe

    def follow_store(self, resource: str, size: Callable[[], int]) -> Callable[[str], None]:
        """Show the size of a store; returns what its reflector's `on_restart` is to be."""
        self._cached.labels(resource).set_function(size)
        for reason in (*WATCH_ENDS, "other"):
            self._watch_ends.labels(
                resource, reason
            )  # served as 0, so that the first end shows as an increase

        def ended(reason: str) -> None:
            self._watch_ends.labels(resource, reason if reason in WATCH_ENDS else "other").inc()

        return ended

    def follow_lease(self, name: str) -> Callable[[bool], None]:
        """Show whether this replica leads; returns what the elector's `on_change` is to be."""
        gauge = self._leader.labels(name)
        gauge.set(0)
        return lambda leading: gauge.set(1 if leading else 0)

    def count_call(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """What `KubeClient` is to have as `on_call`."""
        self._calls.labels(verb, resource, code).inc()
        self._call_seconds.labels(verb, resource).observe(seconds)
        if resource == "pods/eviction":
            self._evictions.labels(_eviction_result(code)).inc()

    def count_bytes(self, verb: str, resource: str, sent: int, received: int) -> None:
        """What `KubeClient` is to have as `on_bytes`."""
        if sent:
            self._bytes.labels(verb, resource, "sent").inc(sent)
        if received:
            self._bytes.labels(verb, resource, "received").inc(received)

    def count_review(self, webhook: str, code: int, seconds: float) -> None:
        """What `AdmissionServer` is to have as `on_review`; `webhook` is one of its few paths."""
        counters = self._of_reviews.get((webhook, code))
        if counters is None:
            counters = (self._reviews.labels(webhook, str(code)), self._review_seconds.labels(webhook))
            self._of_reviews[webhook, code] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def follow_certificate(self, name: str, ends: Callable[[], datetime | None]) -> None:
        """Show when a certificate ends."""

        def timestamp() -> float:
            moment = ends()
            return moment.timestamp() if moment else float("nan")

        self._certificate_ends.labels(name).set_function(timestamp)

    def count_lag(self, seconds: float) -> None:
        """What `follow_lag` is to tell."""
        self._lag.observe(seconds)

    def count_reconcile(self, controller: str, seconds: float, outcome: Outcome, reason: str = "") -> None:
        """One look at an object; `reason` is the class of the error, if there was one."""
        self._reconciles.labels(controller, outcome).inc()
        self._reconcile_seconds.labels(controller).observe(seconds)
        if reason:
            self._reconcile_errors.labels(controller, reason).inc()


def _eviction_result(code: str) -> str:
    """A pod that is gone already needs no eviction; 429 is a budget's refusal."""
    if code.startswith("2") or code == "404":
        return "accepted"
    return "refused" if code == "429" else "failed"
