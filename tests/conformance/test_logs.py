"""pods/log, as far as the API server answers it by itself: which container, and which questions make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import pod

TWO: list[dict[str, Any]] = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]


async def test_the_log_of_no_pod(api: Api) -> None:
    refused = await api.get(api.path("pods", "nobody", sub="log"))
    assert (refused.code, refused.message) == (404, 'pods "nobody" not found')


async def test_a_pod_that_has_no_node_yet_has_said_nothing(api: Api) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    answer = await api.get(api.path("pods", "p", sub="log"), follow="true")
    assert (answer.code, answer.body) == (204, "")


async def test_a_pod_on_a_node_that_there_is_not(api: Api) -> None:
    (await api.post(api.path("pods"), pod(node="nowhere"))).ok()
    refused = await api.get(api.path("pods", "p", sub="log"))
    assert (refused.code, refused.message) == (404, 'pods "nowhere" not found')


async def test_one_of_several_containers_must_be_named(api: Api) -> None:
    (await api.post(api.path("pods"), pod("two", containers=TWO))).ok()
    refused = await api.get(api.path("pods", "two", sub="log"))
    said = "a container name must be specified for pod two, choose one of: [a b]"
    assert (refused.code, refused.reason, refused.message) == (400, "BadRequest", said)
    inits = [{"name": "first", "image": "i"}]
    (await api.post(api.path("pods"), pod("three", containers=TWO, initContainers=inits))).ok()
    refused = await api.get(api.path("pods", "three", sub="log"))
    assert refused.message.endswith("choose one of: [first a b]")
    for container in ("a", "first"):
        assert (await api.get(api.path("pods", "three", sub="log"), container=container)).code == 204


async def test_a_container_that_is_not_the_pods(api: Api) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    refused = await api.get(api.path("pods", "p", sub="log"), container="other")
    said = "container other is not valid for pod p"
    assert (refused.code, refused.reason, refused.message) == (400, "BadRequest", said)


async def test_fewer_lines_than_none(api: Api) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    refused = await api.get(api.path("pods", "p", sub="log"), tailLines=-1)
    assert (refused.code, refused.reason) == (422, "Invalid")
    assert refused.causes == [("FieldValueInvalid", "tailLines")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_logs_are_only_read(api: Api, method: str) -> None:
    (await api.post(api.path("pods"), pod())).ok()
    body = None if method == "DELETE" else {}
    assert (await api.call(method, api.path("pods", "p", sub="log"), body)).code == 405
