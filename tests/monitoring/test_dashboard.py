"""The dashboard and the alert rules on a real Prometheus that watches a real operator at work."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from tests.monitoring.panels import Answered, answered
from tests.monitoring.scene import scene
from tests.tools import find_prometheus

# What counts only what went wrong has nothing to show in a run in which it did not.
MAY_BE_EMPTY = {"sum by (reason) (rate(controller_runtime_reconcile_errors_total[$__rate_interval]))"}


@pytest.mark.slow
async def test_every_panel_has_something_to_show_and_every_rule_is_evaluated(tmp_path: Path) -> None:
    program = find_prometheus()
    if program is None:
        pytest.skip("prometheus is not installed and cannot be fetched: apt-get install prometheus")
    async with scene(program, tmp_path) as played:
        await played.play()
        await asyncio.sleep(2)
        found = await answered(played.prometheus, played.began, time.time())
        groups = (await played.prometheus.ask("rules"))["groups"]
    empty = {query.expression for one in found for query, series in one.answers if not series}
    assert empty <= MAY_BE_EMPTY
    assert [name for one in found for name in _unreadable(one)] == []
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {name: rule["lastError"] for name, rule in rules.items() if rule.get("lastError")} == {}
    assert rules["KairosOperationFailed"]["state"] == "firing"
    assert rules["KairosNoLeader"]["state"] == "inactive"


def _unreadable(panel: Answered) -> list[str]:
    """Legends with a label that the series do not have, or that do not tell two series apart."""
    names = [query.name(one.labels) for query, series in panel.answers for one in series]
    twice = {name for name in names if names.count(name) > 1}
    return [name for name in names if re.search(r"\{\{|\}\}", name) or not name.strip() or name in twice]
