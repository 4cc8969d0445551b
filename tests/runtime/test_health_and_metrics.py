"""The probes and the metrics, as a kubelet and Prometheus read them."""

from __future__ import annotations

import asyncio
import time

import aiohttp
from prometheus_client import generate_latest

from kairos_operator.runtime.health import metrics_app, probe_app, serving
from kairos_operator.runtime.lag import follow_lag
from kairos_operator.runtime.metrics import Metrics
from tests.waiting import eventually


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_ready_only_once_nothing_is_missing_and_it_says_what_is() -> None:
    missing = "not yet listed: nodes"
    app = probe_app({"loop": lambda: ""}, {"caches": lambda: missing, "webhook": lambda: ""})
    async with serving(app, "127.0.0.1", 0) as port:
        assert await get(port, "/healthz") == (200, "ok")
        code, text = await get(port, "/readyz")
        assert code == 500
        assert "[-]caches failed: not yet listed: nodes\n[+]webhook ok\n" in text
        missing = ""
        assert await get(port, "/readyz") == (200, "ok")
        assert await get(port, "/readyz?verbose") == (
            200,
            "[+]caches ok\n[+]webhook ok\nreadyz check passed\n",
        )


async def test_metrics_keep_the_names_that_dashboards_know_and_few_labels() -> None:
    metrics = Metrics()
    waited = metrics.follow_queue("nodeop", lambda: 3)
    ended = metrics.follow_store("pods", lambda: 42)
    leads = metrics.follow_lease("lease")
    waited(0.2)
    ended("Expired")
    ended("a reason with the name of pod-123")
    leads(True)
    metrics.count_call("create", "pods/eviction", "429", 0.1)
    metrics.count_reconcile("nodeop", 0.01, "error", "Conflict")
    async with serving(metrics_app(metrics.registry), "127.0.0.1", 0) as port:
        code, text = await get(port, "/metrics")
    assert code == 200
    for line in (
        'workqueue_depth{name="nodeop"} 3.0',
        'workqueue_queue_duration_seconds_count{name="nodeop"} 1.0',
        'kairos_operator_cached_objects{resource="pods"} 42.0',
        'kairos_operator_watch_ends_total{reason="Expired",resource="pods"} 1.0',
        'kairos_operator_watch_ends_total{reason="other",resource="pods"} 1.0',
        'leader_election_master_status{name="lease"} 1.0',
        'rest_client_requests_total{code="429",resource="pods/eviction",verb="create"} 1.0',
        'controller_runtime_reconcile_total{controller="nodeop",result="error"} 1.0',
        'controller_runtime_reconcile_errors_total{controller="nodeop",reason="Conflict"} 1.0',
    ):
        assert line in text.splitlines()


async def test_a_loop_that_is_held_up_shows_by_how_much() -> None:
    told: list[float] = []
    task = asyncio.create_task(follow_lag(told.append, period=0.01))
    await asyncio.sleep(0.005)
    time.sleep(0.05)  # noqa: ASYNC251  # this is what must show
    await eventually(lambda: bool(told))
    task.cancel()
    assert told[0] >= 0.03


async def test_bytes_are_counted_by_what_they_were_for() -> None:
    metrics = Metrics()
    metrics.count_bytes("patch", "nodeops/status", 10, 0)
    metrics.count_bytes("patch", "nodeops/status", 5, 7)
    text = generate_latest(metrics.registry).decode()
    labels = 'resource="nodeops/status",verb="patch"'
    assert f'kairos_operator_api_bytes_total{{direction="sent",{labels}}} 15.0' in text
    assert f'kairos_operator_api_bytes_total{{direction="received",{labels}}} 7.0' in text
