"""The page's server: read-only, for this machine or for whom the API server lets, and not to be worn out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from kairos_operator.endpoints import Endpoints
from kairos_operator.runtime.authn import Gate, guard
from kairos_operator.runtime.health import serving
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.metrics import Metrics
from kairos_operator.settings import Address
from kairos_operator.status_page.app import MOST_BROWSERS, status_app
from tests.runtime.test_metrics_access import FakeClock, Reviewer
from tests.runtime.test_settings import home as home  # the fixture
from tests.runtime.test_settings import settings
from tests.sandbox.demo.children import free_ports
from tests.status_page.cluster import Cluster, done


class Elsewhere(Address):
    """An address that counts as one that others reach, for a test that must stay on this machine."""

    @property
    def loopback(self) -> bool:
        return False


async def lines(response: aiohttp.ClientResponse, until: str) -> list[str]:
    """The lines of an event stream up to one."""
    found: list[str] = []
    async with asyncio.timeout(20):
        while until not in found:
            found.append((await response.content.readline()).decode().strip())
    return found


async def test_events_tell_everything_and_then_what_changes() -> None:
    cluster = Cluster()
    cluster.upgrade("u", "Running", "first", {"a": done()})
    async with (
        cluster.page() as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/events") as response,
    ):
        assert response.headers["Content-Type"] == "text/event-stream"
        assert "event: reset" in await lines(response, "event: told")
        cluster.upgrade("u", "Completed", "last", {"a": done()})
        data = [line for line in await lines(response, "event: told") if line.startswith('data: {"key')]
        told = json.loads(data[0].removeprefix("data: "))
        assert (told["facts"]["message"], told["nodes"]) == ("last", {})


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js"])
async def test_the_files_are_there_and_may_load_nothing_from_elsewhere(path: str) -> None:
    async with (
        Cluster().page() as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        assert response.status == 200
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "://" not in (await response.text()).replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 405), ("DELETE", "/events", 405), ("GET", "/../app.py", 404), ("GET", "/page/", 404)],
)
async def test_it_is_read_only(method: str, path: str, status: int) -> None:
    async with (
        Cluster().page() as port,
        aiohttp.ClientSession() as http,
        http.request(method, f"http://127.0.0.1:{port}{path}") as response,
    ):
        assert response.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8082", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("evil.example:8082", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_on_loopback_it_answers_to_loopback_names_only(host: str, status: int) -> None:
    async with (
        Cluster().page() as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/", headers={"Host": host}) as response,
    ):
        assert response.status == status


async def test_elsewhere_it_asks_the_api_server_also_for_its_events() -> None:
    reviewer = Reviewer()
    app = guard(status_app(Cluster().caches), Gate(reviewer, FakeClock()), "/metrics")
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        for path in ("/", "/page.js", "/events"):
            url = f"http://127.0.0.1:{port}{path}"
            async with http.get(url) as response:
                assert response.status == 401
            async with http.get(url, headers={"Authorization": "Bearer prometheus-token"}) as response:
                assert response.status == 200


async def test_too_many_browsers_are_told_so_and_one_that_leaves_makes_room() -> None:
    cluster = Cluster()
    connector = aiohttp.TCPConnector(limit=0)
    async with cluster.page() as port, aiohttp.ClientSession(connector=connector) as http:
        url = f"http://127.0.0.1:{port}/events"
        followers = [await http.get(url) for _ in range(MOST_BROWSERS)]
        async with http.get(url) as refused:
            assert refused.status == 503
        followers.pop().close()
        cluster.upgrade("u", "Running", "m", {})
        async with asyncio.timeout(20):
            while True:
                async with http.get(url) as response:
                    if response.status == 200:
                        break
                cluster.upgrade("u", "Running", "m", {})
                await asyncio.sleep(0.2)
        for follower in followers:
            follower.close()


@pytest.mark.parametrize(
    ("address", "scheme", "status"), [(Address, "http", 200), (Elsewhere, "https", 401)], ids=["own", "other"]
)
async def test_the_flag_serves_it_openly_on_loopback_and_over_https_elsewhere(
    home: Path, address: type[Address], scheme: str, status: int
) -> None:
    (port,) = free_ports(1)
    found = replace(
        settings(home, "--health-probe-bind-address=0"), status_address=address("127.0.0.1", port)
    )
    client = cast(KubeClient, Reviewer())
    endpoints = Endpoints(found, client, FakeClock(), Metrics(), Cluster().caches)
    async with (
        endpoints.serving({}, {}),
        aiohttp.ClientSession() as http,
        http.get(f"{scheme}://127.0.0.1:{port}/", ssl=False) as response,
    ):
        assert response.status == status
