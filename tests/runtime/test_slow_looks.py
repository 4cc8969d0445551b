"""A look that takes long: what was said meanwhile counts, and what it would do by its old facts is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kairos_operator.api.resources import JOBS, NODE_OPS, PODS, Resource
from kairos_operator.core.actions import Create, Plan
from kairos_operator.runtime.apply import Subject
from kairos_operator.runtime.client import Listing
from kairos_operator.runtime.memory import Memory
from tests.runtime.test_overlap import _node_op, _Server
from tests.waiting import eventually

CHECKED = {"phase": "Preflight", "step": "Preflight"}
WAITS = {"phase": "Pending", "step": "Waiting"}


class _Slow(_Server):
    """While the first read is under way, `meanwhile` becomes what there is of the operation."""

    stored: Any = None
    meanwhile: Any = None
    annotations: Any = None

    async def patch(self, *args: Any, **more: Any) -> dict[str, Any]:
        answer = await super().patch(*args, **more)
        answer["metadata"]["annotations"] = self.annotations
        return answer

    async def list(self, res: Resource, *_: Any, **__: Any) -> Listing:
        return Listing([self.stored] if res.plural == "nodeops" else [], "1")

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        told, self.meanwhile = self.meanwhile, None
        if told == "gone":
            self.caches.node_ops.forget("op", "default", uid="u")
        elif told is not None:
            self.annotations = told["metadata"].get("annotations")
            self.caches.node_ops.observed(told)
        return await super().get(res, name, namespace)


def _told(**metadata: Any) -> dict[str, Any]:
    obj = _node_op(50, {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z"})
    obj["status"]["nodeStatuses"] = {"n00": CHECKED, "n01": WAITS}
    obj["metadata"] |= metadata
    return obj


@pytest.mark.parametrize(
    ("meanwhile", "does"),
    [
        pytest.param(None, ["create n00", "n01 is started"], id="nothing"),
        pytest.param("gone", [], id="it is gone"),
        pytest.param(_told(uid="another", deletionTimestamp="2026-01-01T00:00:00Z"), [], id="another"),
        pytest.param(_told(deletionTimestamp="2026-01-01T00:00:00Z"), [], id="it is to go"),
        pytest.param(
            _told(annotations={"operator.kairos.io/paused": "true"}), ["create n00"], id="it is paused"
        ),
    ],
)
async def test_what_is_said_while_facts_are_read_counts(meanwhile: Any, does: list[str]) -> None:
    server = _Slow.with_nodes(2)
    assert isinstance(server, _Slow)
    server.stored = _told(resourceVersion="40")
    server.caches.node_ops.observed(server.stored)
    controller = server.controller()
    server.status, server.meanwhile = server.stored["status"], meanwhile
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: any(one.startswith("get") for one in server.asked))

    def done() -> list[str]:
        started = ["n01 is started"] if server.step("n01") != "Waiting" else []
        return [one for one in server.asked if one == "create n00"] + started

    await eventually(lambda: len(done()) >= len(does))
    await asyncio.sleep(0.1)  # what is not to be done would be by now
    seen = done()
    controller.stop()
    for gate in server.gates.values():
        gate.set()
    await running
    assert seen == does


def _create(kind: Resource) -> tuple[Create, ...]:
    return (Create(kind, "it", lambda: {"metadata": {"name": "it"}, "spec": {"nodeName": "n00"}}, "n00"),)


async def _plan(meanwhile: Callable[[_Server, Memory], None]) -> _Server:
    """A plan to make a Job and a pod is carried out after something has become known."""
    server = _Server.with_nodes(1)
    server.gates["n00"].set()
    op = server.caches.node_ops.get("op", "default")
    assert op is not None
    subject = Subject(NODE_OPS, op, Memory())
    meanwhile(server, subject.memory)
    await server.controller().applier.plan(subject, Plan(chains=(_create(JOBS), _create(PODS))))
    return server


async def test_a_job_that_was_seen_since_the_decision_is_not_made() -> None:
    assert (await _plan(lambda server, memory: None)).asked == ["create n00", "create n00"]
    server = await _plan(lambda server, memory: memory.job_seen("n00"))
    assert (server.asked, len(server.caches.jobs)) == (["create n00"], 0)


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(None, id="it is gone"),
        pytest.param(_told(uid="another"), id="another"),
        pytest.param(_told(deletionTimestamp="2026-01-01T00:00:00Z"), id="it is to go"),
    ],
)
async def test_nothing_is_made_for_an_operation_that_went_since_the_decision(since: Any) -> None:
    def goes(server: _Server, _: Memory) -> None:
        if since is None:
            server.caches.node_ops.forget("op", "default", uid="u")
        else:
            server.caches.node_ops.observed(since)

    assert (await _plan(goes)).asked == []
