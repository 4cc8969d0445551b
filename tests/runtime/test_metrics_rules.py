"""The alert rules fire when they should and not otherwise, and rules and dashboard name metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.metrics import WATCH_ENDS, Metrics
from kairos_operator.runtime.rollout_metrics import RolloutMetrics
from kairos_operator.settings import LEASE_NAME
from tests.tools import find_promtool

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "config" / "prometheus"
RULES = yaml.safe_load((SHIPPED / "rules.yaml").read_text())["spec"]
DASHBOARD = json.loads((SHIPPED / "dashboard.json").read_text())


def _expressions() -> list[str]:
    of_rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    of_panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return of_rules + of_panels


def _names(expression: str) -> set[str]:
    """The metrics that an expression speaks of."""
    return set(
        re.findall(r"\b(?:kairos_operator|controller_runtime|rest_client|workqueue|leader)\w+", expression)
    )


def _served() -> set[str]:
    metrics = Metrics()
    RolloutMetrics(metrics.registry, Caches.empty(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    names = set()
    for family in metrics.registry.collect():
        names |= {
            "counter": {f"{family.name}_total"},
            "histogram": {f"{family.name}_bucket", f"{family.name}_sum", f"{family.name}_count"},
        }.get(family.type, {family.name})
    return names


def test_every_metric_that_is_asked_for_is_served() -> None:
    asked = {name for expression in _expressions() for name in _names(expression)}
    assert len(asked) > 15
    assert asked - _served() == set()


def test_the_lease_in_the_rules_is_the_operators() -> None:
    found = {name for expression in _expressions() for name in re.findall(r'name="([^"]+)"', expression)}
    assert found == {LEASE_NAME}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.fixture(scope="module")
def promtool() -> Path:
    found = find_promtool()
    if found is None:
        pytest.skip("promtool is not installed and cannot be fetched: apt-get install prometheus")
    return found


def _said(promtool: Path, directory: Path, verb: str, file: str) -> str:
    """What promtool complains of, or nothing."""
    command = [str(promtool), verb, "rules", file]
    done = subprocess.run(command, check=False, cwd=directory, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_rules_fire_when_they_should(promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    cases = (Path(__file__).parent / "alerts.yaml").read_text()
    tested = set(re.findall(r"alertname: (\w+)", cases))
    assert tested == {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    (tmp_path / "alerts.yaml").write_text(cases)
    assert _said(promtool, tmp_path, "test", "alerts.yaml") == ""


def test_the_queries_of_the_dashboard_parse(promtool: Path, tmp_path: Path) -> None:
    queries = [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    ]
    rules = [{"record": f"panel:{index}", "expr": query} for index, query in enumerate(queries)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    assert _said(promtool, tmp_path, "check", "queries.yaml") == ""


def test_what_an_alert_counts_from_nothing_is_served_as_nothing_before() -> None:
    """A counter that is born with 1 has no increase, so the first fault of all would raise no alarm."""
    metrics = Metrics()
    metrics.follow_store("nodeops", lambda: 0)
    served = generate_latest(metrics.registry).decode()
    for kind in ("NodeOp", "NodeOpUpgrade"):
        assert f'controller_runtime_reconcile_errors_total{{controller="{kind}",reason="Bug"}} 0.0' in served
    for reason in (*WATCH_ENDS, "other"):
        assert f'kairos_operator_watch_ends_total{{reason="{reason}",resource="nodeops"}} 0.0' in served
