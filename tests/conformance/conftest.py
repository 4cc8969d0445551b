"""The two servers that the suite runs against: the sandbox's in memory, and a real kube-apiserver."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.cluster.controlplane import Cluster
from tests.conformance.api import Api, Kubectl, trust
from tests.conformance.manifests import WIDGETS
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock

_defined: set[str] = set()  # servers that know the definitions already
CRDS = Path(__file__).parents[2] / "crds"


def _kubectl(request: pytest.FixtureRequest) -> Path:
    """The kubectl of a control plane's assets, else the one on PATH."""
    found = shutil.which("kubectl")
    try:
        assets: Path = request.getfixturevalue("control_plane_assets")
    except pytest.skip.Exception:
        return Path(found or "kubectl")
    return assets / "kubectl" if (assets / "kubectl").exists() else Path(found or "kubectl")


@pytest.fixture(scope="session")
def sandbox_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The sandbox's API server in a thread of its own, for the whole run."""
    directory = tmp_path_factory.mktemp("sandbox")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox-apiserver")
    thread.start()

    async def begin() -> ApiServer:
        store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix, track_field_managers=True)
        server = ApiServer(store, directory=directory)
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    yield Cluster(
        url=server.url,
        token=server.token,
        ca_file=server.ca_file,
        kubeconfig=kubeconfig,
        kubectl_path=_kubectl(request),
        reaches_loopback=True,
    )
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.realcluster)], scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each of the two servers in turn."""
    found: Cluster = request.getfixturevalue(
        f"{request.param}_cluster" if request.param == "sandbox" else "real_control_plane"
    )
    return found


@pytest.fixture
async def bare(cluster: Cluster) -> AsyncIterator[Api]:
    """A client without a namespace."""
    connector = aiohttp.TCPConnector(ssl=trust(cluster))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Api(cluster, session)


@pytest.fixture
async def api(bare: Api) -> AsyncIterator[Api]:
    """A client with a fresh namespace that can run pods and knows the project's kinds and the suite's own."""
    body = {"metadata": {"generateName": "conformance-"}}
    bare.space = (await bare.post("/api/v1/namespaces", body)).ok()["metadata"]["name"]
    account = await bare.post(bare.path("serviceaccounts"), {"metadata": {"name": "default"}})
    assert account.code in (201, 409), account.body
    ours = [yaml.safe_load(path.read_text()) for path in CRDS.glob("operator.*.yaml")]
    for definition in [] if bare.cluster.url in _defined else [WIDGETS, *ours]:
        await _define(bare, definition)
    _defined.add(bare.cluster.url)
    yield bare
    await bare.delete(f"/api/v1/namespaces/{bare.space}")


async def _define(api: Api, definition: dict[str, object]) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = definition["metadata"]["name"]  # type: ignore[index]
    if (await api.get(f"{path}/{name}")).code == 404:
        (await api.post(path, definition)).ok()

    async def established() -> bool:
        conditions = (await api.get(f"{path}/{name}")).ok().get("status", {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    await api.eventually(established)
    spec = definition["spec"]
    plural, group = spec["names"]["plural"], spec["group"]  # type: ignore[index]
    served = f"/apis/{group}/{spec['versions'][0]['name']}/{plural}"  # type: ignore[index]

    async def listed() -> bool:
        return (await api.get(served)).code == 200

    await api.eventually(listed)


@pytest.fixture
def kubectl(api: Api) -> Kubectl:
    """kubectl in the test's namespace, without blocking on a cache of another server."""
    cluster: Cluster = api.cluster
    if not cluster.kubectl_path.exists():
        pytest.skip("there is no kubectl here")

    def run(*args: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        return cluster.kubectl("--namespace", api.space, *args, stdin=stdin, check=check)

    return run
