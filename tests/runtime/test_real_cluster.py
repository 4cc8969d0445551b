"""The runtime against a real kube-apiserver: what a stub cannot vouch for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from kairos_operator.api.resources import (
    CORE_EVENTS,
    LEASES,
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICE_ACCOUNTS,
    Resource,
)
from kairos_operator.runtime import errors
from kairos_operator.runtime.backoff import Backoff
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.leader import LeaderElector
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store
from tests.cluster.controlplane import Cluster, ControlPlane

pytestmark = pytest.mark.realcluster

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")


@asynccontextmanager
async def connected(cluster: Cluster, namespace: str = "") -> AsyncIterator[KubeClient]:
    api = await Kr8sApi.connect(str(cluster.kubeconfig))
    client = KubeClient(api)
    try:
        if namespace:
            await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        yield client
    finally:
        await api.close()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is the state of a server or a store
            await asyncio.sleep(0.05)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": "x"}}, "data": data}


def parse(obj: Mapping[str, Any]) -> tuple[str, str]:
    return obj["metadata"]["name"], obj.get("data", {}).get("k", "")


async def test_every_call_and_every_refusal(real_control_plane: Cluster) -> None:
    ns = "runtime-calls"
    async with connected(real_control_plane, ns) as client:
        made = await client.create(CONFIG_MAPS, config_map("a", k="1"), ns)
        await client.create(CONFIG_MAPS, config_map("dry"), ns, dry_run=True)
        with pytest.raises(errors.AlreadyExists, match="already exists"):
            await client.create(CONFIG_MAPS, config_map("a"), ns)
        with pytest.raises(errors.NotFound, match="not found"):
            await client.get(CONFIG_MAPS, "dry", ns)

        await client.patch(CONFIG_MAPS, "a", {"data": {"k": "2"}}, ns)
        await client.patch(
            CONFIG_MAPS, "a", [{"op": "replace", "path": "/data/k", "value": "3"}], ns, kind="json"
        )
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "4"}}
        with pytest.raises(errors.Conflict, match="conflict"):
            await client.patch(CONFIG_MAPS, "a", applied, ns, kind="apply", field_manager="other")
        newest = await client.patch(
            CONFIG_MAPS, "a", applied, ns, kind="apply", field_manager="other", force=True
        )
        assert newest["data"] == {"k": "4"}
        with pytest.raises(errors.Conflict):
            await client.replace(CONFIG_MAPS, made, "a", ns)
        stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"k": "5"}}
        with pytest.raises(errors.Conflict):
            await client.patch(CONFIG_MAPS, "a", stale, ns)
        with pytest.raises(errors.Invalid, match="Invalid value"):
            await client.create(CONFIG_MAPS, config_map("Not A Name"), ns)
        with pytest.raises(errors.Conflict, match="UID"):
            await client.delete(CONFIG_MAPS, "a", ns, uid="another")
        await client.delete(CONFIG_MAPS, "a", ns, uid=made["metadata"]["uid"])

        for number in range(7):
            await client.create(CONFIG_MAPS, config_map(f"page-{number}"), ns)
        listing = await client.list(CONFIG_MAPS, ns, label_selector="app=x", limit=3)
        assert [item["metadata"]["name"] for item in listing.items] == [f"page-{n}" for n in range(7)]
        assert {item["kind"] for item in listing.items} == {"ConfigMap"}


async def test_a_right_that_is_missing_is_forbidden_and_a_bad_token_unauthorized(
    real_control_plane: Cluster,
) -> None:
    ns = "runtime-rights"
    async with connected(real_control_plane, ns) as client:
        await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "nobody"}}, ns)
    token = real_control_plane.token_for(ns, "nobody")
    for given, refusal in ((token, errors.Forbidden), ("nonsense", errors.Unauthorized)):
        config = {
            "clusters": [
                {
                    "name": "c",
                    "cluster": {
                        "server": real_control_plane.url,
                        "certificate-authority": str(real_control_plane.ca_file),
                    },
                }
            ],
            "users": [{"name": "u", "user": {"token": given}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        api = await Kr8sApi.connect(config)
        with pytest.raises(refusal):
            await KubeClient(api).list(PODS)
        await api.close()


async def test_an_eviction_that_a_budget_forbids_names_the_budget(real_control_plane: Cluster) -> None:
    ns = "runtime-evictions"
    async with connected(real_control_plane, ns) as client:
        spec = {"containers": [{"name": "c", "image": "none"}], "nodeName": "nowhere"}
        body = {"metadata": {"name": "p", "labels": {"app": "db"}}, "spec": spec}
        await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "plain"}}, ns)
        body["spec"] = spec | {"serviceAccountName": "plain", "automountServiceAccountToken": False}
        pod = await client.create(PODS, body, ns)
        budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}}
        await client.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "keep-db"}, "spec": budget}, ns)
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await client.patch(PODS, "p", {"status": ready}, ns, subresource="status")

        async with asyncio.timeout(60):
            while True:  # until the controller of budgets has counted
                with pytest.raises(errors.TooManyRequests) as refused:
                    await client.evict("p", ns, uid=pod["metadata"]["uid"])
                if any("keep-db" in cause for cause in refused.value.causes):
                    break
                await asyncio.sleep(0.2)
        await client.delete(POD_DISRUPTION_BUDGETS, "keep-db", ns)
        with pytest.raises(errors.Conflict):
            await client.evict("p", ns, uid="another")
        await client.evict("p", ns, uid=pod["metadata"]["uid"], grace_period_seconds=0)


async def test_events_and_their_series_are_accepted(real_control_plane: Cluster) -> None:
    ns = "runtime-events"
    async with connected(real_control_plane, ns) as client:
        made = await client.create(CONFIG_MAPS, config_map("about"), ns)
        uid = made["metadata"]["uid"]
        about = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": ns, "name": "about", "uid": uid}
        recorder = EventRecorder(client, SystemClock(), instance="pod-1")
        for _ in range(3):
            recorder.publish(about, "Warning", "Blocked", "ü" * 2000, action="Drain")
        recorder.publish(
            {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n"}, "Normal", "Cordoned", "x"
        )
        task = asyncio.create_task(recorder.run())
        await recorder.flush(20)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert recorder.dropped == 0
        [event] = (await client.list(CORE_EVENTS, ns, field_selector="reason=Blocked")).items
        assert event["count"] == 3
        change = {"count": 9, "lastTimestamp": "2026-01-01T00:00:00Z"}
        again = await client.patch(CORE_EVENTS, event["metadata"]["name"], change, ns)
        assert again["count"] == 9
        assert (await client.list(CORE_EVENTS, "default", field_selector="reason=Cordoned")).items


async def test_two_replicas_and_one_lease(real_control_plane: Cluster) -> None:
    ns = "runtime-lease"
    async with connected(real_control_plane, ns) as client:

        def elector(name: str) -> LeaderElector:
            return LeaderElector(client, ns, "lease", name, SystemClock(), retry_period=0.2)

        async def work() -> None:
            await asyncio.sleep(600)

        a, b = elector("a"), elector("b")
        first = asyncio.create_task(a.run(work))
        await until(lambda: a.leading)
        second = asyncio.create_task(b.run(work))
        await asyncio.sleep(1)
        assert not b.leading
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await until(lambda: b.leading)
        assert (await client.get(LEASES, "lease", ns))["spec"]["leaseTransitions"] == 1
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second


async def test_a_reflector_goes_on_through_a_killed_api_server(own_control_plane: ControlPlane) -> None:
    plane = own_control_plane
    async with connected(plane) as client:
        store: Store[tuple[str, str]] = Store(parse)
        news: list[tuple[Any, Any]] = []
        store.subscribe(lambda old, new: news.append((old, new)))
        await client.create(CONFIG_MAPS, config_map("a", k="1"), "default")
        await client.create(CONFIG_MAPS, config_map("b", k="1"), "default")
        reflector = Reflector(
            client, CONFIG_MAPS, store, clock=SystemClock(), label_selector="app=x", backoff=Backoff(0.2, 2)
        )
        task = asyncio.create_task(reflector.run())
        await until(reflector.synced.is_set)

        plane.program("kube-apiserver").kill()
        await asyncio.sleep(1)
        assert len(store) == 2
        await asyncio.to_thread(plane.restart, "kube-apiserver")
        await client.patch(CONFIG_MAPS, "a", {"data": {"k": "2"}}, "default")
        await client.delete(CONFIG_MAPS, "b", "default")
        await until(lambda: store.values() == [("a", "2")])
        assert [new for _, new in news if new and new[0] == "b"] == [("b", "1")]  # nothing was told twice
        task.cancel()
