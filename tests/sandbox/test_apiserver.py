"""The HTTP server where no real one can serve as a measure: faults, refusals and its command."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.cluster.controlplane import Cluster
from tests.conformance.api import Api, trust
from tests.conformance.manifests import pod
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock


@asynccontextmanager
async def _client(server: ApiServer) -> AsyncIterator[Api]:
    nowhere = Path()
    cluster = Cluster(
        url=server.url, token=server.token, ca_file=server.ca_file, kubeconfig=nowhere, kubectl_path=nowhere
    )
    connector = aiohttp.TCPConnector(ssl=trust(cluster))
    async with aiohttp.ClientSession(connector=connector) as session:
        found = Api(cluster, session)
        found.space = "default"
        yield found


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
    found = ApiServer(store, directory=tmp_path)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[Api]:
    async with _client(server) as found:
        yield found


async def _version(api: Api) -> str:
    return str((await api.get(api.path("pods"))).ok()["metadata"]["resourceVersion"])


async def test_dropped_connections_break_watches_and_not_the_server(server: ApiServer, api: Api) -> None:
    async with api.watch(api.path("pods"), resourceVersion=await _version(api)) as events:
        server.drop_connections()
        with pytest.raises(aiohttp.ClientError):
            await events.next()
    assert (await api.get("/version")).code == 200


async def test_a_paused_server_answers_nobody(server: ApiServer, api: Api) -> None:
    async with api.watch(api.path("pods"), resourceVersion=await _version(api)) as events:
        server.pause()
        waiting = asyncio.create_task(api.get(api.path("pods")))
        server.store.create(server.store.kind(_Pods()), pod(), "default")
        event = asyncio.create_task(events.next())
        done, _ = await asyncio.wait([waiting, event], timeout=0.3)
        assert not done
        server.resume()
        assert [one["metadata"]["name"] for one in (await waiting).ok()["items"]] == ["p"]
        assert (await event)[0] == "ADDED"


class _Pods:
    group, version, plural = "", "v1", "pods"


async def test_expired_watches_say_so_and_old_versions_stay_gone(server: ApiServer, api: Api) -> None:
    since = await _version(api)
    (await api.post(api.path("pods"), pod())).ok()
    async with api.watch(api.path("pods"), resourceVersion=since) as events:
        assert (await events.next())[0] == "ADDED"
        server.expire_watches()
        kind, status = await events.next()
        assert (kind, status["code"]) == ("ERROR", 410)
        assert await events.ended()
    async with api.watch(api.path("pods"), resourceVersion=since) as events:
        assert (await events.next())[1]["code"] == 410


async def test_a_restart_keeps_the_objects_the_url_and_the_token(server: ApiServer, api: Api) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    url = server.url
    await server.restart()
    assert server.url == url
    async with _client(server) as again:
        assert (await again.get(again.path("pods", "p"))).code == 200


@pytest.mark.parametrize("sub", ["exec", "attach", "portforward", "proxy", "binding", "ephemeralcontainers"])
async def test_what_is_not_done_is_refused_by_name(api: Api, sub: str) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    refused = await api.post(api.path("pods", "p", sub=sub), {})
    assert (refused.code, refused.reason) == (501, "NotImplemented")
    assert f"pods/{sub}" in refused.message


async def test_methods_and_paths_that_are_not_served(api: Api) -> None:
    assert (await api.call("PUT", api.path("pods"), {})).code == 405
    assert (await api.get("/apis/nothing.io/v1/things")).code == 404
    assert (await api.get("/apis/nothing.io")).code == 404
    assert (await api.get("/metrics")).code == 404


async def test_discovery_is_the_same_in_both_forms(api: Api) -> None:
    groups = {one["name"] for one in (await api.get("/apis")).ok()["groups"]}
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    listed = (await api.call("GET", "/apis", accept=accept)).ok()["items"]
    assert {one["metadata"]["name"] for one in listed} == groups
    core = (await api.get("/api/v1")).ok()["resources"]
    eviction = next(one for one in core if one["name"] == "pods/eviction")
    assert (eviction["group"], eviction["kind"], eviction["verbs"]) == ("policy", "Eviction", ["create"])
    documents = (await api.get("/openapi/v3")).ok()["paths"]
    for one in documents.values():
        assert (await api.get(one["serverRelativeURL"].split("?")[0])).ok()["openapi"] == "3.0.0"
    assert (await api.get("/openapi/v2")).ok()["swagger"] == "2.0"


async def test_the_command_prints_a_kubeconfig_that_works(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "tests.sandbox.apiserver", "--kubeconfig", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        assert said.startswith(b"serving on https://127.0.0.1:")
        config: dict[str, Any] = yaml.safe_load(path.read_text())
        assert config["clusters"][0]["cluster"]["server"].encode() in said
        assert path.stat().st_mode & 0o077 == 0
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
