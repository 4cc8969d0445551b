"""The Grafana dashboard, config/prometheus/dashboard.json: a list of panels here, the JSON around them there.

Per-replica gauges of the cluster's state are the same on every replica, so they are taken as a maximum.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 8, 8  # of a panel, in Grafana's grid of 24 columns
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, by which queries (legend to expression), in which unit."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False


def _quantiles(metric: str, by: str) -> dict[str, str]:
    """Half and nine tenths of a histogram, by a label."""
    return {
        f"{name} {{{{{by}}}}}": f"histogram_quantile({quantile}, sum by (le, {by}) (rate({metric}_bucket{RATE})))"
        for name, quantile in (("half", 0.5), ("9 of 10", 0.9))
    }


ROWS: dict[str, list[Panel]] = {
    "Operations": [
        Panel(
            "Nodes of unfinished operations",
            {"{{phase}}": "max by (phase) (kairos_operator_nodes)"},
            stacked=True,
        ),
        Panel(
            "Operations",
            {"{{kind}} {{phase}}": "max by (kind, phase) (kairos_operator_operations)"},
        ),
        Panel(
            "Longest in each step",
            {"{{step}}": "max by (step) (kairos_operator_node_step_longest_seconds)"},
            unit="s",
        ),
        Panel("Blocked drains", {"operations": "max(kairos_operator_blocked_drains)"}, kind="stat"),
        Panel("Leaders", {"replicas": "sum(leader_election_master_status)"}, kind="stat"),
        Panel(
            "Certificates end in",
            {
                "{{certificate}}": "min by (certificate)"
                " (kairos_operator_certificate_expiry_timestamp_seconds) - time()"
            },
            unit="s",
            kind="stat",
        ),
    ],
    "Work on nodes": [
        Panel("Steps", _quantiles("kairos_operator_node_step_duration_seconds", "step"), unit="s"),
        Panel("Whole nodes", _quantiles("kairos_operator_node_duration_seconds", "outcome"), unit="s"),
        Panel(
            "Ended and rebooted, in an hour",
            {
                "{{kind}} {{phase}}": "sum by (kind, phase) (increase(kairos_operator_operations_ended_total[1h]))",
                "reboots": "sum(increase(kairos_operator_node_reboots_total[1h]))",
            },
        ),
        Panel(
            "Evictions",
            {"{{result}}": f"sum by (result) (rate(kairos_operator_evictions_total{RATE}))"},
            unit="reqps",
        ),
    ],
    "The operator": [
        Panel("Keys that wait", {"{{name}}": "max by (name) (workqueue_depth)"}),
        Panel(
            "Looks",
            {
                "{{controller}} {{result}}": "sum by (controller, result)"
                f" (rate(controller_runtime_reconcile_total{RATE}))",
                "error {{reason}}": f"sum by (reason) (rate(controller_runtime_reconcile_errors_total{RATE}))",
            },
            unit="ops",
        ),
        Panel(
            "A look takes",
            _quantiles("controller_runtime_reconcile_time_seconds", "controller"),
            unit="s",
        ),
        Panel(
            "Calls to the API server",
            {
                "{{verb}} {{resource}} {{code}}": "sum by (verb, resource, code)"
                f" (rate(rest_client_requests_total{RATE}))"
            },
            unit="reqps",
        ),
        Panel("A call takes", _quantiles("rest_client_request_duration_seconds", "verb"), unit="s"),
        Panel(
            "Watches that ended",
            {
                "{{resource}} {{reason}}": "sum by (resource, reason) (increase(kairos_operator_watch_ends_total[1h]))"
            },
        ),
        Panel(
            "Admission reviews",
            {
                "{{webhook}} {{code}}": "sum by (webhook, code)"
                f" (rate(controller_runtime_webhook_requests_total{RATE}))"
            },
            unit="reqps",
        ),
        Panel(
            "A review takes", _quantiles("controller_runtime_webhook_latency_seconds", "webhook"), unit="s"
        ),
        Panel("Objects in memory", {"{{resource}}": "max by (resource) (kairos_operator_cached_objects)"}),
        Panel("Lag of the event loop", _quantiles("kairos_operator_event_loop_lag_seconds", "job"), unit="s"),
        Panel(
            "Bytes to and from the API server",
            {
                "{{direction}} {{resource}}": "sum by (direction, resource)"
                f" (rate(kairos_operator_api_bytes_total{RATE}))"
            },
            unit="Bps",
        ),
    ],
}


def dashboard() -> str:
    """The file."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "title": title, "id": len(panels) + 1, "gridPos": place, "panels": []})
        top += 1
        for index, panel in enumerate(row):
            x, y = index % 3 * WIDTH, top + index // 3 * HEIGHT
            panels.append(_panel(panel, len(panels) + 1, x, y))
        top += (len(row) + 2) // 3 * HEIGHT
    source = {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}
    whole = {
        "uid": "kairos-operator",
        "title": "Kairos operator",
        "tags": ["kairos"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }
    return json.dumps(whole, indent=1) + "\n"


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": SOURCE}
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": targets,
    }
