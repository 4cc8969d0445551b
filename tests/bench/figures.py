"""The figures of one run, as they are stored in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.probes import Health, Samples
from tests.bench.scenario import Scenario
from tests.bench.timeline import NodeTimes, ideal_seconds, percentile, slot_latencies

CALLS = "rest_client_requests_total"
BYTES = "kairos_operator_api_bytes_total"
ANSWER = "rest_client_request_duration_seconds"
LAG = "kairos_operator_event_loop_lag_seconds"
LOOK = "controller_runtime_reconcile_time_seconds"
_ASIDE = (("watch", ""), ("create", "pods/eviction"), ("", "leases"))


@dataclass(frozen=True, slots=True)
class Scrapes:
    """The operator's metrics: once it was ready, when the upgrade was made, when it was over, a while later."""

    ready: Samples
    before: Samples
    after: Samples
    later: Samples


@dataclass(frozen=True, slots=True)
class Programs:
    """CPU seconds during the run, and the peak of resident memory, of the operator and the API server."""

    operator_cpu: float
    operator_peak_bytes: int
    operator_start_bytes: int
    api_server_cpu: float
    api_server_peak_bytes: int


def figures(  # long: one figure after another
    scenario: Scenario,
    makespan: float,
    nodes: Sequence[NodeTimes],
    scrapes: Scrapes,
    programs: Programs,
    health: Health,
    status_bytes: Mapping[str, int],
    firsts: Sequence[float] = (),
) -> dict[str, Any]:
    """Everything that is kept of a run."""
    requests = _requests(scrapes.before, scrapes.after)
    counted = sum(count for name, count in requests.items() if not _aside(name))
    ideal = ideal_seconds([times.own for times in nodes], scenario.concurrency)
    slots = slot_latencies(nodes, scenario.concurrency)
    return {
        "scenario": asdict(scenario),
        "makespan_seconds": round(makespan, 3),
        "ideal_seconds": round(ideal, 3),
        "makespan_ratio": round(makespan / ideal, 4) if ideal else None,
        "slot_seconds": _spread(slots),
        "slot_to_first_write_seconds": _spread(firsts) if firsts else None,
        "gap_seconds": {
            "preflight_to_job": _spread([times.gaps[0] for times in nodes]),
            "ready_to_postflight": _spread([times.gaps[1] for times in nodes]),
        },
        "requests_per_node": round(counted / scenario.nodes, 2),
        "requests": dict(sorted(requests.items())),
        "requests_while_idle": {
            "before": _requests(scrapes.ready, scrapes.before),
            "after": _requests(scrapes.after, scrapes.later),
        },
        "bytes": _bytes(scrapes.before, scrapes.after),
        "status_bytes": dict(status_bytes),
        "operator": {
            "cpu_seconds": round(programs.operator_cpu, 2),
            "cpu_ms_per_node": round(1000 * programs.operator_cpu / scenario.nodes, 2),
            "peak_mib": _mib(programs.operator_peak_bytes),
            "start_mib": _mib(programs.operator_start_bytes),
        },
        "api_server": {
            "cpu_seconds": round(programs.api_server_cpu, 2),
            "peak_mib": _mib(programs.api_server_peak_bytes),
        },
        "loop_lag_p99_seconds": round(scrapes.after.quantile(LAG, 0.99, scrapes.before), 4),
        "look_seconds": {
            "p50": round(scrapes.after.quantile(LOOK, 0.5, scrapes.before, controller="NodeOp"), 4),
            "p99": round(scrapes.after.quantile(LOOK, 0.99, scrapes.before, controller="NodeOp"), 4),
            "count": int(scrapes.after.total(f"{LOOK}_count") - scrapes.before.total(f"{LOOK}_count")),
        },
        "call_seconds": _calls(scrapes),
        "healthz": {
            "asked": health.asked,
            "failed": health.failed,
            "slowest_seconds": round(health.slowest, 4),
        },
    }


def _requests(before: Samples, after: Samples) -> dict[str, int]:
    """Calls by verb, resource and answer, between two scrapes."""
    then = {_call(labels): value for labels, value in before.of(CALLS)}
    found = {_call(labels): int(value - then.get(_call(labels), 0)) for labels, value in after.of(CALLS)}
    return {name: count for name, count in found.items() if count}


def _calls(scrapes: Scrapes) -> dict[str, dict[str, float]]:
    """How long the API server took to answer, by verb and resource, as the operator saw it."""
    found = {}
    kinds = {(labels["verb"], labels["resource"]) for labels, _ in scrapes.after.of(f"{ANSWER}_count")}
    for verb, resource in sorted(kinds - {("watch", resource) for _, resource in kinds}):
        where = {"verb": verb, "resource": resource}
        if scrapes.after.total(f"{ANSWER}_count", **where) > scrapes.before.total(f"{ANSWER}_count", **where):
            shares = {"p50": 0.5, "p99": 0.99}
            found[f"{verb} {resource}"] = {
                name: round(scrapes.after.quantile(ANSWER, share, scrapes.before, **where), 4)
                for name, share in shares.items()
            }
    return found


def _call(labels: Mapping[str, str]) -> str:
    return f"{labels['verb']} {labels['resource']} {labels['code']}"


def _aside(name: str) -> bool:
    verb, resource, _ = name.split(" ")
    return any(verb == (v or verb) and resource == (r or resource) for v, r in _ASIDE)


def _bytes(before: Samples, after: Samples) -> dict[str, int]:
    def key(labels: Mapping[str, str]) -> str:
        return f"{labels['direction']} {labels['verb']} {labels['resource']}"

    then = {key(labels): value for labels, value in before.of(BYTES)}
    found = {key(labels): int(value - then.get(key(labels), 0)) for labels, value in after.of(BYTES)}
    return dict(sorted((name, count) for name, count in found.items() if count))


def _spread(values: Sequence[float]) -> dict[str, float]:
    shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    return {name: round(percentile(values, share), 4) for name, share in shares}


def _mib(size: int) -> float:
    return round(size / 2**20, 1)
