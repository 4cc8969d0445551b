"""The webhooks as a part of the operator: what they ask a cluster for, with a certificate of their own and without."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import yaml

import webhooks.files
from kairos_operator.admission import Admission, CacheLookups, NamespaceView, parse_namespace
from kairos_operator.api.cluster import NodeView, parse_node
from kairos_operator.api.resources import MUTATING_WEBHOOKS, NAMESPACES, SECRETS, VALIDATING_WEBHOOKS
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.store import Store
from kairos_operator.settings import Settings, add_run_flags
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.demo.children import free_ports
from tests.sandbox.store import Store as Objects
from tests.sandbox.store import random_suffix, random_uid, wall_clock
from tests.waiting import eventually
from tests.webhooks.objects import node_op, review
from tests.webhooks.serving import VALIDATE, trusting
from webhooks.certificates import Place
from webhooks.configurations import by_service, mutating_configuration, validating_configuration
from webhooks.keys import mint

SYSTEM = "kairos-operator-system"
PLACE = Place(SYSTEM)
CONFIGURATIONS = [(MUTATING_WEBHOOKS, PLACE.mutating[0]), (VALIDATING_WEBHOOKS, PLACE.validating[0])]
Calls = list[tuple[str, str]]


@asynccontextmanager
async def kept(directory: Path, *flags: str) -> AsyncIterator[tuple[Admission, Objects, Calls, int]]:
    """The webhooks of one replica, looked after, beside an API server in memory; and the calls that they make."""
    store = Objects(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
    store.create(NAMESPACES, {"metadata": {"name": SYSTEM}})
    service = by_service(PLACE.service, SYSTEM)
    store.create(MUTATING_WEBHOOKS, mutating_configuration(PLACE.mutating[0], service))
    store.create(VALIDATING_WEBHOOKS, validating_configuration(PLACE.validating[0], service))
    server = ApiServer(store, directory=directory)
    await server.start()
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    api = await Kr8sApi.connect(str(kubeconfig))
    (port,) = free_ports(1)
    calls: Calls = []
    client = KubeClient(api, on_call=lambda verb, resource, code, seconds: calls.append((verb, resource)))
    admission = Admission(
        settings(kubeconfig, f"--webhook-port={port}", *flags),
        client,
        SystemClock(),
        Store(parse_node),
        lambda *_: None,
    )
    keeping = asyncio.create_task(admission.keep())
    try:
        async with admission.serving():
            yield admission, store, calls, port
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await api.close()
        await server.stop()


def settings(kubeconfig: Path, *flags: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_run_flags(parser)
    environ = {"OPERATOR_IMAGE": "operator:1", "CONTROLLER_POD_NAMESPACE": SYSTEM}
    return Settings.from_args(parser.parse_args([f"--kubeconfig={kubeconfig}", *flags]), environ)


def bundles(store: Objects) -> list[str]:
    hooks = [hook for res, name in CONFIGURATIONS for hook in store.get(res, name)["webhooks"]]
    return [hook["clientConfig"].get("caBundle", "") for hook in hooks]


async def test_a_certificate_of_its_own_is_made_told_and_served(tmp_path: Path) -> None:
    async with kept(tmp_path) as (admission, store, _, _):
        await eventually(lambda: admission.unready() == "")
        assert store.get(SECRETS, PLACE.secret, SYSTEM)["type"] == "kubernetes.io/tls"
        await eventually(lambda: all(bundles(store)))
        assert admission.certificate_ends() is not None


async def test_with_a_certificate_from_elsewhere_nothing_is_made_and_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlay of cert-manager: its CA injector writes the caBundle, and its Secret is mounted."""
    monkeypatch.setattr(webhooks.files, "INTERVAL", 0.05)
    mounted, api_server = tmp_path / "mounted", tmp_path / "api-server"
    mounted.mkdir()
    api_server.mkdir()
    async with kept(api_server, f"--webhook-cert-dir={mounted}") as (admission, store, calls, port):
        assert admission.unready() == "no certificate yet"
        assert admission.certificate_ends() is None
        pair = mint(["localhost"], datetime.now(UTC))
        (mounted / "tls.crt").write_bytes(pair.certificate)
        (mounted / "tls.key").write_bytes(pair.key)
        await eventually(lambda: admission.unready() == "")
        async with aiohttp.ClientSession() as session:
            url = f"https://localhost:{port}{VALIDATE}"
            async with session.post(url, data=review(node_op()), ssl=trusting(pair)) as answer:
                assert json.loads(await answer.read())["response"]["allowed"]
        assert {resource for _, resource in calls} <= {"namespaces"}
        assert bundles(store) == [""] * 4
        assert admission.certificate_ends() is not None


def test_nothing_is_known_of_a_cluster_before_its_first_list() -> None:
    nodes: Store[NodeView] = Store(parse_node)
    namespaces: Store[NamespaceView] = Store(parse_namespace)
    lookups = CacheLookups(nodes, namespaces)
    assert lookups.node_labels() is None
    assert lookups.namespace_labels("default") is None
    nodes.replace([node("a", "1", {"x": "y"}), node("b", "2", {})], "3")
    assert sorted(map(len, lookups.node_labels() or ())) == [0, 1]


def node(name: str, version: str, labels: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "uid": name, "resourceVersion": version, "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {}}


@pytest.mark.parametrize("labels", [None, {}, {"a": "b"}])
def test_a_namespace_with_labels_and_without(labels: dict[str, str] | None) -> None:
    metadata = {"name": "n"} | ({"labels": labels} if labels is not None else {})
    assert parse_namespace({"metadata": metadata}).labels == (labels or {})
