"""The benchmark's own arithmetic: what an ideal is, what a latency is, what a histogram tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import audit, plot, table
from tests.bench.probes import Samples
from tests.bench.scenario import Scenario
from tests.bench.timeline import NodeTimes, ideal_seconds, percentile, read, slot_latencies

HISTOGRAM = """
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 90.0
lag_seconds_bucket{le="0.2"} 100.0
lag_seconds_bucket{le="+Inf"} 100.0
calls_total{resource="pods",verb="list"} 3.0
calls_total{resource="a\\"b",verb="get"} 4.0
up 1.0
"""


def times(name: str, start: float, end: float) -> NodeTimes:
    return NodeTimes(name, (start, start + 1), (start + 2, start + 3), end - 2, postflight=(end - 1, end))


@pytest.mark.parametrize(
    ("own", "concurrency", "seconds"),
    [
        ([3.0, 1.0, 1.0, 1.0], 2, 3.0),
        ([1.0] * 4, 2, 2.0),
        ([1.0, 2.0], 0, 2.0),
        ([2.0, 3.0], 1, 5.0),
        ([], 3, 0.0),
    ],
)
def test_the_ideal_gives_each_free_slot_to_the_next_at_once(
    own: list[float], concurrency: int, seconds: float
) -> None:
    assert ideal_seconds(own, concurrency) == seconds


def test_a_slot_that_becomes_free_is_the_next_node_s() -> None:
    nodes = [times("a", 0, 10), times("b", 0, 12), times("c", 10.5, 20), times("d", 12.25, 22)]
    assert slot_latencies(nodes, 2) == [0.5, 0.25]
    assert slot_latencies(nodes, 0) == []
    assert nodes[0].own == 1 + 6 + 1
    assert nodes[0].gaps == (1, 1)


def _event(name: str, began: int, ended: int, resource: str = "nodes", **more: Any) -> str:
    """A line of an audit log; times in milliseconds."""
    times = {"requestReceivedTimestamp": began, "stageTimestamp": ended}
    moments = {key: f"2026-05-04T12:00:00.{value:03}000Z" for key, value in times.items()}
    event = {
        "userAgent": "kairos-operator/1",
        "objectRef": {"resource": resource, "name": name},
        "responseStatus": {"code": 200},
    }
    return json.dumps(event | moments | more)


def test_the_next_nodes_first_write_is_that_of_the_status_that_starts_it(tmp_path: Path) -> None:
    log = tmp_path / audit.LOG
    lines = [
        _event("op", 10, 20, "nodeops", subresource="status"),
        _event("op-a-preflight-x", 21, 30, "pods"),
        _event("a", 100, 110),  # claimed
        _event("a", 200, 220),  # given back
        _event("a", 230, 240, userAgent="kubelet"),
        _event("a", 230, 250, responseStatus={"code": 409}),
        _event("op", 260, 280, "nodeops", subresource="status"),
        _event("op-b-preflight-x", 290, 300, "pods"),
        _event("op", 295, 310, "nodeops", subresource="status"),
        _event("op-b-reboot-x", 400, 410, "pods"),
    ]
    log.write_text("\n".join(lines) + "\n")
    assert audit.slot_latencies(log, 1) == pytest.approx([0.04])
    assert audit.slot_latencies(log, 0) == []
    assert audit.slot_latencies(tmp_path / "none", 1) == []


def test_a_quantile_is_interpolated_in_its_bucket_and_counts_what_came_since() -> None:
    now = Samples(HISTOGRAM)
    assert now.quantile("lag_seconds", 0.45) == pytest.approx(0.05)
    assert now.quantile("lag_seconds", 0.95) == pytest.approx(0.15)
    assert now.quantile("lag_seconds", 0.95, since=now) == 0.0
    assert now.quantile("nothing", 0.5) == 0.0


def test_samples_add_up_over_the_labels_that_are_not_asked_for() -> None:
    found = Samples(HISTOGRAM)
    assert (found.total("calls_total"), found.total("calls_total", verb="list"), found.total("up")) == (
        7,
        3,
        1,
    )


def test_percentiles_of_nothing_and_of_something() -> None:
    assert percentile([], 0.99) == 0.0
    assert percentile(range(1, 101), 0.5) == 51
    assert percentile(range(1, 101), 0.99) == 100


def test_a_journal_is_read_into_the_times_of_the_nodes_that_went_all_the_way(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    for pod, program, seen, end in (
        ("p", "preflight", 1, 2),
        ("j", "sentinel", 3, 4),
        ("q", "postflight", 7, 8),
    ):
        lines.append({"event": "pod", "pod": pod, "program": "", "time": seen})
        lines.append({"event": "end", "pod": pod, "program": program, "time": end})
    lines.append({"event": "ready", "pod": "", "program": "", "time": 6})
    texts = [json.dumps({"node": "n1", **line}) for line in lines]
    texts.append(json.dumps({"node": "n2", "event": "pod", "pod": "p2", "program": "", "time": 1}))
    for event, program, moment in (("pod", "", 1), ("end", "preflight", 3)):
        line = {"node": "n3", "event": event, "pod": "p3", "program": program, "time": moment}
        texts.append(json.dumps(line))
    path = tmp_path / "journal"
    path.write_text("\n".join(texts))
    skipped = NodeTimes("n3", (1, 3), (3, 3), 3, (3, 3))
    assert read(path) == [NodeTimes("n1", (1, 2), (3, 4), 6, (7, 8)), skipped]
    assert skipped.own == 2


def figures(nodes: int) -> dict[str, Any]:
    return {
        "scenario": json.loads(Scenario(nodes=nodes).to_json()),
        "makespan_ratio": 1.02,
        "slot_seconds": {"p50": 0.01, "p99": 0.05},
        "requests_per_node": 12.0,
        "requests": {"list pods 200": nodes},
        "operator": {"cpu_ms_per_node": 20.0, "peak_mib": 100.0},
        "api_server": {"cpu_seconds": 5.0},
        "loop_lag_p99_seconds": 0.01,
        "bytes": {"sent patch nodeops/status": 1000},
        "status_bytes": {"nodeops": 2000},
        "healthz": {"asked": 3, "failed": 0},
    }


def test_runs_become_a_table_and_charts() -> None:
    runs = [figures(10), figures(100)]
    assert "| N | 10 | 100 |" in table.markdown(runs)
    assert "| list pods 200 | 100 | 1.00 |" in table.request_table(runs[1])
    drawn = plot.svg(runs)
    assert drawn.count("<polyline") == len(plot.CHARTS)
    assert "nan" not in drawn


def test_a_figure_of_an_axis_stays_short() -> None:
    assert [plot._figure(value) for value in (0.0, 14.46, 984.0, 64_600.0)] == ["0", "14.5", "984", "64.6k"]
