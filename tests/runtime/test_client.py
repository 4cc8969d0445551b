"""The calls as they go over the wire, and how each refusal comes back as its own type."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from kr8s.asyncio.objects import Node

from kairos_operator.api.resources import JOBS, LEASES, NODE_OPS, NODES, PODS
from kairos_operator.runtime import errors
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.runtime import stub as s

JOB = "/apis/batch/v1/namespaces/ns/jobs"
OK = s.answer({"kind": "Status", "status": "Success"})


class HandClock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_each_call_has_its_url_query_and_body() -> None:
    async with s.serving() as stub, stub.api() as api:
        client = KubeClient(api)
        stub.on(f"POST {JOB}", s.answer({"kind": "Job"}, 201))
        await client.create(JOBS, {"metadata": {"name": "j"}}, "ns", dry_run=True)
        stub.on("PATCH /api/v1/nodes/n", s.answer({"kind": "Node"}))
        await client.patch(NODES, "n", [{"op": "test"}], kind="json")
        path = "/apis/operator.kairos.io/v1alpha1/namespaces/ns/nodeops/x/status"
        stub.on(f"PATCH {path}", s.answer({"kind": "NodeOp"}))
        await client.patch(
            NODE_OPS, "x", {"a": 1}, "ns", kind="apply", subresource="status", field_manager="me", force=True
        )
        stub.on("PUT /apis/coordination.k8s.io/v1/namespaces/ns/leases/l", s.answer({"kind": "Lease"}))
        await client.replace(LEASES, {"a": 1}, "l", "ns")
        stub.on(f"DELETE {JOB}/j", OK)
        await client.delete(JOBS, "j", "ns", uid="u", resource_version="7", grace_period_seconds=0)
        stub.on("POST /api/v1/namespaces/ns/pods/p/eviction", OK)
        await client.evict("p", "ns", uid="u", grace_period_seconds=5)

        create, json_patch, apply, _, _, _ = stub.requests
        assert create.query == {"dryRun": "All"}
        assert json_patch.headers["Content-Type"] == "application/json-patch+json"
        assert apply.headers["Content-Type"] == "application/apply-patch+yaml"
        assert apply.query == {"fieldManager": "me", "force": "true"}
        assert json.loads(stub.bodies[4]) == {
            "propagationPolicy": "Background",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": "u", "resourceVersion": "7"},
        }
        eviction = json.loads(stub.bodies[5])
        assert eviction["apiVersion"] == "policy/v1"
        assert eviction["deleteOptions"] == {"preconditions": {"uid": "u"}, "gracePeriodSeconds": 5}
        for request in stub.requests:
            assert request.headers["User-Agent"].startswith("kairos-operator/")
            assert request.headers["Authorization"] == "Bearer t0"


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retryable"),
    [
        (400, "BadRequest", errors.Invalid, False),
        (403, "Forbidden", errors.Forbidden, False),
        (404, "NotFound", errors.NotFound, False),
        (409, "Conflict", errors.Conflict, True),
        (409, "AlreadyExists", errors.AlreadyExists, False),
        (410, "Expired", errors.Gone, True),
        (422, "Invalid", errors.Invalid, False),
        (429, "TooManyRequests", errors.TooManyRequests, True),
        (500, "InternalError", errors.ServerError, True),
        (501, "NotImplemented", errors.ApiError, False),
        (503, "ServiceUnavailable", errors.ServerError, True),
        (504, "Timeout", errors.ServerError, True),
    ],
)
async def test_each_refusal_is_its_own_type_with_the_servers_own_words(
    code: int, reason: str, kind: type[errors.ApiError], retryable: bool
) -> None:
    async with s.serving() as stub, stub.api() as api:
        stub.on("PATCH /api/v1/nodes/n", s.status(code, reason, "the server's words", {"Retry-After": "7"}))
        with pytest.raises(errors.ApiError, match=r"^the server's words$") as caught:
            await KubeClient(api).patch(NODES, "n", {})
        assert type(caught.value) is kind
        assert (caught.value.status, caught.value.reason) == (code, reason)
        assert caught.value.retryable is retryable
        assert caught.value.retry_after == 7
        assert len(stub.requests) == 1


async def test_a_refused_eviction_names_the_budget() -> None:
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget db needs 2 healthy pods and has 2",
    }
    body = {
        "code": 429,
        "reason": "TooManyRequests",
        "message": "Cannot evict",
        "details": {"causes": [cause]},
    }
    async with s.serving() as stub, stub.api() as api:
        stub.on("POST /api/v1/namespaces/ns/pods/p/eviction", s.answer(body, 429))
        with pytest.raises(errors.TooManyRequests) as caught:
            await KubeClient(api).evict("p", "ns", uid="u")
        assert caught.value.causes == (cause["message"],)
        assert caught.value.retry_after is None


async def test_an_answer_that_is_no_status_is_still_an_error_with_a_message() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<h1>Bad Gateway</h1>")

    async with s.serving() as stub, stub.api() as api:
        stub.on("PUT /api/v1/nodes/n", page)
        with pytest.raises(errors.ServerError, match="Bad Gateway"):
            await KubeClient(api).replace(NODES, {}, "n")


async def test_an_expired_login_is_renewed_once_and_the_call_repeated() -> None:
    clock = HandClock()
    async with s.serving() as stub, stub.api(clock=clock) as api:

        async def only_new(request: web.Request) -> web.StreamResponse:
            fresh = request.headers["Authorization"] == "Bearer t1"
            return await (s.answer(s.node("n", 1)) if fresh else s.status(401, "Unauthorized", "expired"))(
                request
            )

        stub.on("GET /api/v1/nodes/n", only_new)
        client = KubeClient(api)
        clock.time += 3600
        api.auth._kubeconfig_path_or_dict = stub.kubeconfig(token="t1")
        await asyncio.gather(*(client.get(NODES, "n") for _ in range(8)))
        assert api.auth.token == "t1"
        refused = [r for r in stub.requests if r.headers["Authorization"] == "Bearer t0"]
        assert len(refused) + 8 == len(stub.requests)


async def test_credentials_that_stay_refused_are_not_tried_for_ever() -> None:
    clock = HandClock()
    async with s.serving() as stub, stub.api(clock=clock) as api:
        stub.on("GET /api/v1/nodes/n", s.status(401, "Unauthorized", "who are you"))
        client = KubeClient(api)
        clock.time += 3600
        for _ in range(3):
            with pytest.raises(errors.Unauthorized, match="who are you"):
                await client.get(NODES, "n")
        assert len(stub.requests) == 4  # the first call twice, the others, soon after, once


async def test_the_token_of_a_pod_is_read_again_after_a_minute(tmp_path: Path) -> None:
    clock = HandClock()
    async with s.serving() as stub:
        (tmp_path / "token").write_text("first\n")
        config = stub.kubeconfig(tokenFile=str(tmp_path / "token"))
        stub.on("GET /api/v1/nodes/n", s.answer(s.node("n", 1)))
        async with stub.api(kubeconfig=config, clock=clock) as api:
            client = KubeClient(api)
            await client.get(NODES, "n")
            (tmp_path / "token").write_text("second\n")
            clock.time += 30
            await client.get(NODES, "n")
            clock.time += 31
            await client.get(NODES, "n")
            (tmp_path / "token").unlink()
            clock.time += 61
            await client.get(NODES, "n")
        seen = [request.headers["Authorization"].removeprefix("Bearer ") for request in stub.requests]
        assert seen == ["first", "first", "second", "second"]


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
        session = api._session_for_all()
        with pytest.raises(Exception, match=r"^no$"):
            [node async for node in api.get(Node)]
        assert len(stub.seen("GET /api/v1/nodes")) == 1
        assert api._session_for_all() is session
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
