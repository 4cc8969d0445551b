"""Who may read the metrics: over HTTPS whom the API server lets, plainly nobody but this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from kairos_operator.api.resources import Resource
from kairos_operator.endpoints import Endpoints
from kairos_operator.runtime.authn import MOST_ANSWERS, MOST_WAITING, Gate
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.errors import Unreachable
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.metrics import Metrics
from kairos_operator.settings import Address, BadSetting, Settings
from tests.runtime.test_settings import home as home  # the fixture
from tests.runtime.test_settings import settings
from tests.sandbox.demo.children import free_ports
from webhooks.keys import mint


class FakeClock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Reviewer:
    """An API server that knows two users, of whom one may read the metrics."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.allowed = {"prometheus"}
        self.down = False

    async def create(
        self, res: Resource, body: Mapping[str, Any], namespace: str | None = None
    ) -> dict[str, Any]:
        assert namespace is None
        self.asked.append(res.plural)
        if self.down:
            raise Unreachable("no answer")
        spec = body["spec"]
        if res.plural == "tokenreviews":
            user = {"prometheus-token": "prometheus", "other-token": "other"}.get(spec["token"])
            if user is None:
                return {"status": {"authenticated": False, "error": "invalid bearer token"}}
            groups = {"username": user, "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}
            return {"status": {"authenticated": True, "user": groups}}
        assert spec["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
        assert (spec["uid"], spec["groups"], spec["extra"]) == ("1", ["g"], {"k": ["v"]})
        return {"status": {"allowed": spec["user"] in self.allowed}}


@pytest.fixture
def reviewer() -> Reviewer:
    return Reviewer()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def status(gate: Gate, authorization: str) -> int:
    found = await gate.refusal(authorization, "/metrics")
    return found.status if found else 200


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("", 401),
        ("Basic prometheus-token", 401),
        ("Bearer ", 401),
        ("Bearer unknown", 401),
        ("Bearer " + "x" * 20000, 401),
        ("Bearer other-token", 403),
        ("Bearer prometheus-token", 200),
        ("bearer  prometheus-token", 200),
    ],
)
async def test_only_who_may_is_let_in(
    reviewer: Reviewer, clock: FakeClock, authorization: str, expected: int
) -> None:
    assert await status(Gate(reviewer, clock), authorization) == expected


async def test_answers_are_kept_for_a_while_and_refusals_for_less(
    reviewer: Reviewer, clock: FakeClock
) -> None:
    gate = Gate(reviewer, clock)
    for _ in range(3):
        assert await status(gate, "Bearer prometheus-token") == 200
        assert await status(gate, "Bearer other-token") == 403
    assert len(reviewer.asked) == 4
    reviewer.allowed = {"other"}
    clock.seconds += 15
    assert await status(gate, "Bearer other-token") == 200, "a new right counts soon"
    assert await status(gate, "Bearer prometheus-token") == 200, "still kept"
    clock.seconds += 60
    assert await status(gate, "Bearer prometheus-token") == 403, "a right that is gone does not last"


async def test_nobody_is_let_in_while_the_api_server_cannot_be_asked(
    reviewer: Reviewer, clock: FakeClock
) -> None:
    gate = Gate(reviewer, clock)
    reviewer.down = True
    assert await status(gate, "Bearer prometheus-token") == 503
    reviewer.down = False
    assert await status(gate, "Bearer prometheus-token") == 200, "that it was down is not kept"


async def test_many_tokens_take_bounded_memory(reviewer: Reviewer, clock: FakeClock) -> None:
    gate = Gate(reviewer, clock)
    for number in range(MOST_ANSWERS * 2):
        await status(gate, f"Bearer guess-{number}")
    assert len(gate._answers) == MOST_ANSWERS


async def test_a_flood_of_tokens_is_answered_at_once(
    reviewer: Reviewer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, go_on = Gate(reviewer, clock), asyncio.Event()
    assert await status(gate, "Bearer prometheus-token") == 200
    answer = reviewer.create

    async def slow(*call: Any) -> dict[str, Any]:
        await go_on.wait()
        return await answer(*call)

    monkeypatch.setattr(reviewer, "create", slow)
    flood = [asyncio.create_task(status(gate, f"Bearer {number}")) for number in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert await status(gate, "Bearer one-too-many") == 503
    assert await status(gate, "Bearer prometheus-token") == 200, "what is known needs no question"
    flood.pop().cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await status(gate, "Bearer other-token") == 403, "who gives up leaves the place to another"
    assert set(await asyncio.gather(*flood)) == {401}


@asynccontextmanager
async def served(found: Settings, reviewer: Reviewer, clock: FakeClock) -> AsyncIterator[None]:
    endpoints = Endpoints(found, cast(KubeClient, reviewer), clock, Metrics(), Caches.empty())
    keeping = asyncio.create_task(endpoints.keep())
    async with endpoints.serving({}, {}):
        yield
    keeping.cancel()


async def get(url: str, token: str = "", ca: bytes = b"") -> tuple[int, str]:
    context = ssl.create_default_context(cadata=ca.decode()) if ca else ssl.create_default_context()
    if not ca:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, ssl=context) as response,
    ):
        return response.status, await response.text()


async def test_metrics_go_over_https_to_whom_the_api_server_lets(
    home: Path, reviewer: Reviewer, clock: FakeClock
) -> None:
    (port,) = free_ports(1)
    found = settings(home, f"--metrics-bind-address=127.0.0.1:{port}", "--health-probe-bind-address=0")
    async with served(found, reviewer, clock):
        url = f"https://localhost:{port}/metrics"
        code, text = await get(url, "prometheus-token")
        assert code == 200
        assert "workqueue_depth" in text
        assert (await get(url))[0] == 401
        code, text = await get(url, "other-token")
        assert (code, text) == (403, "other may not get /metrics\n")
        assert (await get(f"https://localhost:{port}/elsewhere"))[0] == 401, (
            "not even what is not there is told"
        )


async def test_a_certificate_of_ones_own_is_served_and_its_end_shown(
    home: Path, reviewer: Reviewer, clock: FakeClock, tmp_path: Path
) -> None:
    pair = mint(["localhost"], clock.now())
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    (port,) = free_ports(1)
    flags = [f"--metrics-bind-address=127.0.0.1:{port}", f"--metrics-cert-path={tmp_path}"]
    async with served(settings(home, *flags, "--health-probe-bind-address=0"), reviewer, clock):
        code, text = await get(f"https://localhost:{port}/metrics", "prometheus-token", pair.ca)
    assert code == 200
    line = 'kairos_operator_certificate_expiry_timestamp_seconds{certificate="metrics"}'
    (value,) = (each.split()[-1] for each in text.splitlines() if each.startswith(line))
    assert float(value) == pytest.approx(pair.ends.timestamp())


async def test_plain_metrics_are_for_this_machine_only(
    home: Path, reviewer: Reviewer, clock: FakeClock
) -> None:
    (port,) = free_ports(1)
    plain = "--metrics-secure=false"
    found = settings(home, f"--metrics-bind-address=127.0.0.1:{port}", plain, "--health-probe-bind-address=0")
    async with served(found, reviewer, clock):
        assert (await get(f"http://127.0.0.1:{port}/metrics"))[0] == 200
    assert reviewer.asked == []
    assert settings(home, "--metrics-bind-address=[::1]:1", plain).metrics_address == Address("::1", 1)
    for everywhere in (":8080", "0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080", "127.example.com:80"):
        with pytest.raises(BadSetting, match=r"127\.0\.0\.1:8080"):
            settings(home, f"--metrics-bind-address={everywhere}", plain)
