"""The panels of the shipped dashboard, and what Prometheus answers to each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.monitoring.prometheus import Prometheus, Series

DASHBOARD = Path(__file__).resolve().parents[2] / "config" / "prometheus" / "dashboard.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel."""

    expression: str
    legend: str

    def name(self, labels: Mapping[str, str]) -> str:
        """What Grafana writes into the legend for a series."""
        text = self.legend
        for label, value in labels.items():
            text = text.replace("{{" + label + "}}", value)
        return text


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its place in a grid of 24 columns, and its queries."""

    title: str
    kind: str
    unit: str
    stacked: bool
    place: Mapping[str, int]
    queries: tuple[Query, ...]
    colours: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[tuple[str, float], ...] = ()
    """Of a single number: the colour from each value on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A panel with what Prometheus answered to each of its queries."""

    panel: Panel
    answers: Sequence[tuple[Query, Sequence[Series]]]


def panels() -> list[Panel]:
    """The panels and the titles of the rows, in their order."""
    return [_parsed(one) for one in json.loads(DASHBOARD.read_text())["panels"]]


def _parsed(one: Mapping[str, Any]) -> Panel:
    config = one.get("fieldConfig") or {"defaults": {}, "overrides": []}
    defaults = config["defaults"]
    steps = (defaults.get("thresholds") or {}).get("steps") or ()
    return Panel(
        one["title"],
        one["type"],
        defaults.get("unit", ""),
        bool(defaults.get("custom", {}).get("stacking")),
        one["gridPos"],
        tuple(Query(target["expr"], target["legendFormat"]) for target in one.get("targets", ())),
        {
            override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
            for override in config["overrides"]
        },
        tuple((step["color"], -math.inf if step["value"] is None else step["value"]) for step in steps),
    )


async def answered(prometheus: Prometheus, start: float, end: float) -> list[Answered]:
    """All panels over a time."""
    return [
        Answered(
            panel, [(query, await prometheus.series(query.expression, start, end)) for query in panel.queries]
        )
        for panel in panels()
    ]
