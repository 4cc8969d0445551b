"""The calls as they go over the wire, and how each refusal comes back as its own type."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from kairos_operator.api.resources import JOBS, LEASES, NODE_OPS, NODES, PODS
from kairos_operator.runtime import errors
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


async def test_many_objects_are_deleted_by_their_labels_and_returned() -> None:
    async with s.serving() as stub, stub.api() as api:
        pods = {"kind": "PodList", "items": [{"metadata": {"name": "p"}}]}
        stub.on("DELETE /api/v1/namespaces/ns/pods", s.answer(pods))
        found = await KubeClient(api).delete_collection(PODS, "ns", label_selector="a in (b,c)")
    assert [(one["kind"], one["metadata"]["name"]) for one in found.items] == [("Pod", "p")]
    assert stub.requests[0].query == {"labelSelector": "a in (b,c)", "propagationPolicy": "Background"}


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
