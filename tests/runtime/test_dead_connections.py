"""An API server's machine loses power: its connections say nothing any more, and are not closed either."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from kairos_operator.api.resources import NODES
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.leader import LeaderElector
from kairos_operator.runtime.wire import DEAD_AFTER, new_session
from tests.runtime import stub as s
from tests.runtime.silence import Way, way_to
from tests.waiting import eventually

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
OTHERS = 8


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _with_a_lease(stub: s.Stub, holder: str) -> None:
    lease = {
        "metadata": {"name": "lease", "namespace": "ns", "resourceVersion": "1"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 1},
    }

    async def get(_: web.Request) -> web.Response:
        return web.json_response(lease)

    async def put(_: web.Request) -> web.Response:
        lease.update(json.loads(stub.bodies[-1]))
        return web.json_response(lease)

    stub.on(f"GET {LEASES}/lease", get)
    stub.on(f"PUT {LEASES}/lease", put)
    stub.on("GET /api/v1/nodes/n", s.answer(s.node("n", 1)))


@asynccontextmanager
async def _candidate(holder: str) -> AsyncIterator[tuple[LeaderElector, Way, Callable[[], bool]]]:
    """A replica beside whose elector others have left connections at rest. Its times are a tenth of the real ones."""
    async with s.serving() as stub, way_to(stub.port) as way:
        _with_a_lease(stub, holder)
        config = stub.kubeconfig()
        config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{way.port}"
        async with stub.api(kubeconfig=config) as api:
            elector = LeaderElector(
                KubeClient(api, in_flight=2, alone=True),
                "ns",
                "lease",
                "me",
                SystemClock(),
                lease_duration=1.5,
                renew_deadline=1.0,
                retry_period=0.2,
            )
            leading = asyncio.create_task(elector.run(_for_ever))
            await asyncio.gather(*(KubeClient(api).get(NODES, "n") for _ in range(OTHERS)))
            await eventually(lambda: way.opened == OTHERS + 1)
            yield elector, way, leading.done
            leading.cancel()
            with suppress(asyncio.CancelledError):
                await leading


async def test_a_leader_goes_on_over_a_new_connection() -> None:
    async with _candidate("") as (elector, way, ended):
        await eventually(lambda: elector.leading)
        way.lose_power()
        await asyncio.sleep(2.5)
        assert not ended()
        assert elector.leading
        assert way.opened == OTHERS + 2


async def test_a_follower_takes_over_after_one_try_that_hangs() -> None:
    async with _candidate("another, who is gone") as (elector, way, _):
        way.lose_power()
        await eventually(lambda: elector.leading, seconds=4.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the options of Linux")
async def test_the_kernel_gives_up_a_peer_that_is_gone() -> None:
    async with s.serving() as stub, new_session(0) as session:
        stub.on("GET /watch", s.stream(b"{}", then="hang"))
        async with session.get(f"http://127.0.0.1:{stub.port}/watch") as response:
            assert response.connection is not None
            assert response.connection.transport is not None
            wire = response.connection.transport.get_extra_info("socket")
            assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            found = [wire.getsockopt(socket.IPPROTO_TCP, option) for option in _LIMITS]
    idle, between, probes, unacknowledged = found
    assert idle + between * probes == DEAD_AFTER
    assert unacknowledged == DEAD_AFTER * 1000


_LIMITS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
