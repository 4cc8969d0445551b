"""The Grafana dashboard, config/prometheus/dashboard.json: a list of panels here, the JSON around them there.

Per-replica gauges of the cluster's state are the same on every replica, so they are taken as a maximum. A panel has no
more lines than somebody can tell apart; docs/images/dashboard.svg shows what they look like (hack/record_dashboard.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS, WIDTH, HEIGHT, FLAT = 24, 8, 8, 4  # of Grafana's grid and of panels in it; single numbers are flat
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"
COLOURS = {"Completed": "green", "Failed": "red", "Running": "yellow", "Preflight": "blue", "Pending": "text"}
# Single numbers: the colour from each value on, the first one for all below.
NONE_IS_GOOD = [("green", None), ("red", 1)]
ONE_IS_GOOD = [("red", None), ("green", 1)]
LONG_IS_GOOD = [("red", None), ("yellow", 14 * 86400), ("green", 30 * 86400)]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, by which queries (legend to expression), in which unit."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False
    steps: Sequence[tuple[str, int | None]] = ()


def _quantiles(metric: str, by: str, **names: float) -> dict[str, str]:
    """Quantiles of a histogram by a label; half and nine tenths, where none are named."""
    wanted = names or {"half": 0.5, "9 of 10": 0.9}
    return {
        f"{name} {{{{{by}}}}}".strip(): f"histogram_quantile({quantile}, sum by (le, {by})"
        f" (rate({metric}_bucket{RATE})))"
        for name, quantile in wanted.items()
    }


def _worst(metric: str, by: str) -> dict[str, str]:
    """Nine tenths of a histogram by a label that has many values."""
    return _quantiles(metric, by, **{"": 0.9})


def _short_webhook(query: str) -> str:
    """With `mutate nodeop` for the path of a webhook."""
    return f'label_replace({query}, "webhook", "$1 $2", "webhook", "/(mutate|validate)-.*-(.*)")'


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
        Panel(
            "Blocked drains",
            {"operations": "max(kairos_operator_blocked_drains)"},
            kind="stat",
            steps=NONE_IS_GOOD,
        ),
        Panel("Leaders", {"replicas": "sum(leader_election_master_status)"}, kind="stat", steps=ONE_IS_GOOD),
        Panel(
            "Certificates end in",
            {
                "{{certificate}}": "min by (certificate)"
                " (kairos_operator_certificate_expiry_timestamp_seconds) - time()"
            },
            unit="s",
            kind="stat",
            steps=LONG_IS_GOOD,
        ),
    ],
    "Work on nodes": [
        Panel("9 of 10 steps take", _worst("kairos_operator_node_step_duration_seconds", "step"), unit="s"),
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
            {"{{verb}} {{code}}": f"sum by (verb, code) (rate(rest_client_requests_total{RATE}))"},
            unit="reqps",
        ),
        Panel("9 of 10 calls take", _worst("rest_client_request_duration_seconds", "verb"), unit="s"),
        Panel(
            "Watches that ended, in an hour",
            {"{{reason}}": "sum by (reason) (increase(kairos_operator_watch_ends_total[1h]))"},
        ),
        Panel(
            "Admission reviews",
            {
                "{{webhook}} {{code}}": _short_webhook(
                    f"sum by (webhook, code) (rate(controller_runtime_webhook_requests_total{RATE}))"
                )
            },
            unit="reqps",
        ),
        Panel(
            "9 of 10 reviews take",
            {
                legend: _short_webhook(query)
                for legend, query in _worst("controller_runtime_webhook_latency_seconds", "webhook").items()
            },
            unit="s",
        ),
        Panel("Objects in memory", {"{{resource}}": "max by (resource) (kairos_operator_cached_objects)"}),
        Panel("Lag of the event loop", _quantiles("kairos_operator_event_loop_lag_seconds", "job"), unit="s"),
        Panel(
            "Bytes to and from the API server",
            {"{{direction}}": f"sum by (direction) (rate(kairos_operator_api_bytes_total{RATE}))"},
            unit="Bps",
        ),
    ],
}


def dashboard() -> str:
    """The file."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        panels.append({"type": "row", "title": title, "id": len(panels) + 1, "gridPos": place, "panels": []})
        top += 1
        for line in _lines(row):
            height = FLAT if all(panel.kind == "stat" for panel in line) else HEIGHT
            width = COLUMNS // len(line)
            for index, panel in enumerate(line):
                spot = {"h": height, "w": width, "x": index * width, "y": top}
                panels.append(_panel(panel, len(panels) + 1, spot))
            top += height
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


def _lines(row: list[Panel]) -> list[list[Panel]]:
    """The panels of a row side by side, three in a line, or four where one would be left over."""
    across = COLUMNS // WIDTH + (len(row) % (COLUMNS // WIDTH) == 1)
    return [row[start : start + across] for start in range(0, len(row), across)]


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": SOURCE}
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "custom": custom}
    if panel.steps:
        steps = [{"color": colour, "value": value} for colour, value in panel.steps]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(panel)},
        "targets": targets,
    }


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    """A phase has its colour."""
    if "{{phase}}" not in panel.queries:
        return []
    return [
        {
            "matcher": {"id": "byName", "options": phase},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for phase, colour in COLOURS.items()
    ]
