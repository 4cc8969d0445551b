"""pods/log of the server in memory where no real one can serve as a measure, since that needs a kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kairos_operator.api.resources import NODES, PODS
from tests.cluster.controlplane import Cluster
from tests.conformance.api import Api, trust
from tests.conformance.manifests import pod
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock
from tests.waiting import eventually

RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 1, "reason": "Error"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


class Kubelet:
    """What the containers said, as the test has it; `store` has their states."""

    def __init__(self) -> None:
        self.store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
        self.now, self.before = "", ""
        self.asked: list[tuple[str, bool]] = []

    async def said(self, namespace: str, name: str, container: str, previous: bool) -> str:
        self.asked.append((container, previous))
        if container == "lost":
            raise KeyError(container)
        return self.before if previous else self.now

    def turn(
        self, state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0, name: str = "main"
    ) -> None:
        """The container is in this state now."""
        one = {"name": name, "restartCount": restarts, "state": state, "lastState": last or {}}
        status = {"status": {"phase": "Running", "containerStatuses": [one]}}
        self.store.patch(PODS, "p", status, "default", subresource="status")

    def ready(self, status: str) -> None:
        """What the node says of itself."""
        conditions = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
        self.store.patch(NODES, "n", conditions, None, subresource="status")


@pytest.fixture
async def kubelet() -> Kubelet:
    found = Kubelet()
    found.store.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    found.ready("True")
    containers = [{"name": "main", "image": "i"}]
    inits = [{"name": "first", "image": "i"}, {"name": "lost", "image": "i"}]
    found.store.create(PODS, pod(node="n", containers=containers, initContainers=inits), "default")
    return found


@pytest.fixture
async def api(kubelet: Kubelet, tmp_path: Path) -> AsyncIterator[Api]:
    server = ApiServer(kubelet.store, logs=kubelet.said, directory=tmp_path)
    await server.start()
    cluster = Cluster(
        url=server.url, token=server.token, ca_file=server.ca_file, kubeconfig=Path(), kubectl_path=Path()
    )
    connector = aiohttp.TCPConnector(ssl=trust(cluster))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        found = Api(cluster, session)
        found.space = "default"
        yield found
    await server.stop()


def log_of(api: Api) -> str:
    return api.path("pods", "p", sub="log")


async def test_a_log_is_what_the_container_said_so_far(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    kubelet.now = "one\ntwo\nthree"
    assert (await api.get(log_of(api))).body == "one\ntwo\nthree"
    assert (await api.get(log_of(api), tailLines=2)).body == "two\nthree"
    assert (await api.get(log_of(api), tailLines=0)).body == ""
    assert (await api.get(log_of(api), tailLines=9, container="main")).body == "one\ntwo\nthree"


async def test_the_run_before_is_another_log(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    refused = await api.get(log_of(api), previous="true")
    assert (refused.code, refused.message) == (
        400,
        'previous terminated container "main" in pod "p" not found',
    )
    kubelet.now, kubelet.before = "now", "before"
    kubelet.turn(RUNNING, ENDED, restarts=1)
    assert (await api.get(log_of(api), previous="true")).body == "before"
    assert (await api.get(log_of(api))).body == "now"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("PodInitializing", "PodInitializing"),
        ("ImagePullBackOff", "trying and failing to pull image"),
        ("ErrImagePull", "image can't be pulled"),
    ],
)
async def test_a_container_that_has_not_begun_has_no_log(
    api: Api, kubelet: Kubelet, reason: str, said: str
) -> None:
    kubelet.turn({"waiting": {"reason": reason}})
    refused = await api.get(log_of(api), follow="true")
    assert (refused.code, refused.message) == (
        400,
        f'container "main" in pod "p" is waiting to start: {said}',
    )


async def test_a_container_that_waits_for_its_next_run_shows_its_last(api: Api, kubelet: Kubelet) -> None:
    kubelet.now = "it crashed"
    kubelet.turn(BACK_OFF, ENDED)
    assert (await api.get(log_of(api))).body == "it crashed"
    assert (await api.get(log_of(api), follow="true")).body == "it crashed"


@pytest.mark.parametrize("container", ["first", "lost"])
async def test_a_container_that_the_kubelet_does_not_know(api: Api, kubelet: Kubelet, container: str) -> None:
    kubelet.turn(RUNNING, name="lost")
    refused = await api.get(log_of(api), container=container)
    assert (refused.code, refused.message) == (400, f'container "{container}" in pod "p" is not available')


@pytest.mark.parametrize(
    "query",
    [
        {"timestamps": "true"},
        {"sinceSeconds": "5"},
        {"sinceTime": "2026-01-01T00:00:00Z"},
        {"limitBytes": "1"},
    ],
)
async def test_what_is_not_done_is_refused(api: Api, kubelet: Kubelet, query: dict[str, str]) -> None:
    kubelet.turn(RUNNING)
    refused = await api.get(log_of(api), **query)
    assert (refused.code, refused.reason) == (501, "NotImplemented")
    assert next(iter(query)) in refused.message


async def test_following_shows_lines_as_they_come_and_ends_with_the_run(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    kubelet.now = "old\none\n"
    following = asyncio.create_task(api.get(log_of(api), follow="true", tailLines=1))
    await eventually(lambda: len(kubelet.asked) > 1)
    kubelet.now += "two\n"
    seen = len(kubelet.asked)
    await eventually(lambda: len(kubelet.asked) > seen)
    assert not following.done()
    kubelet.now += "last words\n"
    kubelet.turn(ENDED)
    assert (await following).body == "one\ntwo\nlast words\n"


async def test_following_ends_with_its_run_also_where_another_has_begun(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    kubelet.now = "one\n"
    following = asyncio.create_task(api.get(log_of(api), follow="true"))
    await eventually(lambda: len(kubelet.asked) > 1)
    kubelet.before, kubelet.now = "one\nlast words\n", "the next run\n"
    kubelet.turn(RUNNING, ENDED, restarts=1)
    assert (await following).body == "one\nlast words\n"


async def test_following_ends_with_the_pod(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    kubelet.now = "one\n"
    following = asyncio.create_task(api.get(log_of(api), follow="true"))
    await eventually(lambda: len(kubelet.asked) > 1)
    kubelet.store.delete(PODS, "p", "default", grace_period_seconds=0)
    assert (await following).body == "one\n"


async def test_a_node_that_goes_down_breaks_the_stream(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING)
    kubelet.now = "one\n"
    following = asyncio.create_task(api.get(log_of(api), follow="true"))
    await eventually(lambda: len(kubelet.asked) > 1)
    seen = len(kubelet.asked)
    await eventually(lambda: len(kubelet.asked) > seen + 1)
    kubelet.ready("False")
    with pytest.raises(aiohttp.ClientError):
        await following


async def test_a_stream_that_begins_while_the_node_comes_back_lasts(api: Api, kubelet: Kubelet) -> None:
    kubelet.turn(RUNNING, ENDED, restarts=1)
    kubelet.ready("False")
    following = asyncio.create_task(api.get(log_of(api), follow="true"))
    await eventually(lambda: len(kubelet.asked) > 3)
    kubelet.ready("True")
    kubelet.now = "back\n"
    kubelet.turn(ENDED, restarts=1)
    assert (await following).body == "back\n"
