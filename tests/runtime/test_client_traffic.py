"""How the client treats the wire: the fence, its bound on calls, repeats, ends, counts, and kr8s beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from kr8s.asyncio.objects import Node

from kairos_operator.api.resources import JOBS, NODES, PODS
from kairos_operator.runtime import errors
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.runtime import stub as s

JOB = "/apis/batch/v1/namespaces/ns/jobs"
OK = s.answer({"kind": "Status", "status": "Success"})


async def test_the_fence_stops_what_changes_something_and_nothing_else() -> None:
    def closed() -> None:
        raise errors.NotLeader("not me")

    async with s.serving() as stub, stub.api() as api:
        stub.on("GET /api/v1/nodes/n", s.answer(s.node("n", 1)))
        stub.on(f"POST {JOB}", s.answer({}, 201))
        client = KubeClient(api, fence=closed)
        for call in (
            client.create(JOBS, {}, "ns"),
            client.patch(NODES, "n", {}),
            client.replace(NODES, {}, "n"),
            client.delete(NODES, "n"),
            client.evict("p", "ns", uid="u"),
        ):
            with pytest.raises(errors.NotLeader):
                await call
        assert stub.requests == []
        await client.get(NODES, "n")
        await client.create(JOBS, {}, "ns", dry_run=True)
        assert len(stub.requests) == 2


async def test_the_fence_is_asked_after_the_wait_for_a_slot() -> None:
    release = asyncio.Event()
    leading = True

    def fence() -> None:
        if not leading:
            raise errors.NotLeader("not any more")

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({})

    async with s.serving() as stub, stub.api() as api:
        stub.on("PATCH /api/v1/nodes/n", slow)
        client = KubeClient(api, fence=fence, in_flight=1)
        calls = [asyncio.create_task(client.patch(NODES, "n", {})) for _ in range(2)]
        await _until(lambda: len(stub.requests) == 1)
        leading = False
        release.set()
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert first == {}
        assert isinstance(second, errors.NotLeader)
        assert len(stub.requests) == 1


async def test_so_many_calls_at_once_and_first_come_first_served() -> None:
    now = most = 0

    async def count(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response({})

    async with s.serving() as stub, stub.api() as api:
        names = [f"n{number}" for number in range(12)]
        for name in names:
            stub.on(f"GET /api/v1/nodes/{name}", count)
        client = KubeClient(api, in_flight=3)
        await asyncio.gather(*(client.get(NODES, name) for name in names))
        assert most == 3
        order = [names.index(request.path.rpartition("/")[2]) for request in stub.requests]
        assert all(abs(place - number) < 3 for place, number in enumerate(order))


async def test_a_read_is_repeated_when_its_connection_breaks_a_write_never() -> None:
    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with s.serving() as stub, stub.api() as api:
        client = KubeClient(api)
        stub.on("GET /api/v1/nodes/n", cut, cut, s.answer(s.node("n", 1)))
        assert (await client.get(NODES, "n"))["metadata"]["name"] == "n"
        stub.on(f"POST {JOB}", cut, s.answer({}, 201))
        with pytest.raises(errors.Unreachable):
            await client.create(JOBS, {}, "ns")
        assert len(stub.seen(f"POST {JOB}")) == 1


async def test_a_write_over_a_connection_that_others_have_used_is_sent_once() -> None:
    leading = True

    async def cut(request: web.Request) -> web.Response:
        nonlocal leading
        leading = False  # the lease has run out while the answer was waited for
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def fence() -> None:
        if not leading:
            raise errors.NotLeader("not any more")

    async with s.serving() as stub, stub.api() as api:
        client = KubeClient(api, fence=fence)
        stub.on("GET /api/v1/nodes/n", s.answer(s.node("n", 1)))
        for what in ("DELETE", "PUT", "PATCH"):
            stub.on(f"{what} /api/v1/nodes/n", cut, s.answer(s.node("n", 2)))
        for call in (
            lambda: client.delete(NODES, "n"),
            lambda: client.replace(NODES, {}, "n"),
            lambda: client.patch(NODES, "n", {}),
        ):
            leading = True
            await client.get(
                NODES, "n"
            )  # aiohttp repeats a call by itself over a connection that was open before
            with pytest.raises(errors.Unreachable):
                await call()
    assert [request.method for request in stub.requests] == ["GET", "DELETE", "GET", "PUT", "GET", "PATCH"]


async def test_a_call_without_answer_ends_by_itself() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with s.serving() as stub, stub.api() as api:
        stub.on("PATCH /api/v1/nodes/n", hang)
        with pytest.raises(errors.Unreachable, match="in time"):
            await KubeClient(api, timeout=0.1).patch(NODES, "n", {})


async def test_every_answer_is_counted() -> None:
    counted: list[tuple[str, str, str]] = []
    async with s.serving() as stub, stub.api() as api:
        client = KubeClient(api, on_call=lambda verb, res, code, _: counted.append((verb, res, code)))
        stub.on("GET /api/v1/pods", s.listing(5))
        stub.on("WATCH /api/v1/pods", s.stream())
        await client.list(PODS)
        assert [event async for event in client.watch(PODS, resource_version="5")] == []
        with pytest.raises(errors.NotFound):
            await client.evict("p", "ns", uid="u")
        await stub.stop()
        with pytest.raises(errors.Unreachable):
            await client.create(PODS, {}, "ns")
    assert counted == [
        ("list", "pods", "200"),
        ("watch", "pods", "200"),
        ("create", "pods/eviction", "404"),
        ("create", "pods", "<error>"),
    ]


async def test_kr8s_own_objects_work_over_the_same_session() -> None:
    async with s.serving() as stub, stub.api() as api:
        stub.on("GET /api/v1/nodes", s.listing(9, s.node("n", 1, role="x")))
        stub.on("PATCH /api/v1/nodes/n", s.answer(s.node("n", 2, role="y")))
        nodes = {"name": "nodes", "singularName": "node", "kind": "Node", "namespaced": True}
        stub.on("GET /api", s.answer({"versions": ["v1"]}))
        stub.on("GET /api/v1", s.answer({"resources": [nodes | {"namespaced": False}]}))
        stub.on("GET /apis", s.answer({"groups": []}))
        stub.on(
            "WATCH /api/v1/nodes", s.stream(s.event("ADDED", s.node("o", 3, text="a\u0085b")), then="hang")
        )
        [node] = [node async for node in api.get(Node)]
        assert isinstance(node, Node)
        await node.patch({"metadata": {"labels": {"role": "y"}}})
        assert node.labels["role"] == "y"
        async for kind, seen in api.watch("nodes"):
            assert (kind, seen.labels["text"]) == ("ADDED", "a\u0085b")
            break


async def test_one_refusal_through_kr8s_does_not_close_the_session_for_others() -> None:
    async with s.serving() as stub, stub.api() as api:
        stub.on("WATCH /api/v1/nodes", s.stream(s.bookmark(7), then="hang"))
        stub.on("GET /api/v1/nodes", s.status(403, "Forbidden", "no"))
        watch = KubeClient(api).watch(NODES, resource_version="5")
        await anext(watch)
        session = api._session_of()
        with pytest.raises(Exception, match=r"^no$"):
            [node async for node in api.get(Node)]
        assert len(stub.seen("GET /api/v1/nodes")) == 1
        assert api._session_of() is session
        assert not session.closed


async def test_without_credentials_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.NoCluster, match=r"does not exist.*--kubeconfig"):
        await Kr8sApi.connect(str(tmp_path / "none"))
    with pytest.raises(errors.NoCluster, match=r"--kubeconfig"):
        await Kr8sApi.connect(None, service_account=str(tmp_path / "none"))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is what a server has seen
            await asyncio.sleep(0.005)
