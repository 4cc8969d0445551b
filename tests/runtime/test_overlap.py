"""Looks that overlap with the calls of the looks before: what a call that hangs or is refused holds up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from kairos_operator.api.names import Role
from kairos_operator.api.resources import NODE_OPS, NODES, Resource
from kairos_operator.core.snapshot import ChildKey, Images
from kairos_operator.runtime.apply import Applier
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.chains import AT_ONCE
from kairos_operator.runtime.client import Client, Listing
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.controller import Controller, pace
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.errors import ApiError, Forbidden, NotFound, NotLeader
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.observe import Observer
from kairos_operator.runtime.queue import Queue
from tests.waiting import eventually


@dataclass
class _Server:
    """An API server with one NodeOp on some nodes; creates wait until they are let go, and answer as told."""

    caches: Caches
    gates: dict[str, asyncio.Event]
    asked: list[str]
    fault: Callable[[], ApiError] | None = None
    versions: int = 100

    @classmethod
    def with_nodes(cls, count: int) -> _Server:
        caches = Caches.empty()
        caches.nodes.heard = float("inf")  # their watch speaks all the time
        names = [f"n{number:02}" for number in range(count)]
        for name in names:
            caches.nodes.observed(_node(name))
        caches.node_ops.observed(_node_op())
        return cls(caches, {name: asyncio.Event() for name in names}, [])

    async def list(self, res: Resource, *_: Any, **__: Any) -> Listing:
        there = {NODES: [_node(name) for name in self.gates], NODE_OPS: [_node_op()]}
        return Listing(there.get(res, []), "1")

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        self.asked.append(f"get {name}")
        raise NotFound(404, "NotFound", f"no {name}")

    async def patch(self, res: Resource, name: str, body: Any, *_: Any, **__: Any) -> dict[str, Any]:
        self.versions += 1
        status = {**self.status, **body["status"]}
        status["nodeStatuses"] = {**self.status.get("nodeStatuses", {})}
        for node, change in body["status"].get("nodeStatuses", {}).items():
            status["nodeStatuses"][node] = {**status["nodeStatuses"].get(node, {}), **change}
        self.status = status
        return _node_op(self.versions, status)

    status: Any = None

    async def create(self, res: Resource, body: Any, namespace: str | None = None) -> dict[str, Any]:
        node = body["spec"]["nodeName"]
        self.asked.append(f"create {node}")
        await self.gates[node].wait()
        if self.fault is not None:
            raise self.fault()
        meta = {**body["metadata"], "namespace": "default", "uid": f"pod-{node}", "resourceVersion": "7"}
        return {**body, "metadata": meta}

    def controller(self) -> Controller:
        """What looks at it."""
        self.status = {}
        client, clock = cast("Client", self), SystemClock()
        recorder = EventRecorder(client, clock, instance="test")
        return Controller(
            caches=self.caches,
            observer=Observer(client, self.caches, clock, Images("operator:1")),
            applier=Applier(Deeds(client, self.caches), clock, recorder),
            queue=Queue(),
            clock=clock,
        )

    def passed(self, node: str) -> None:
        """The preflight pod on a node has come to its end."""
        pod = next(pod for pod in self.caches.pods.values() if pod.operation_node == node)
        self.versions += 1
        self.caches.pods.observed(
            {
                "metadata": {
                    "name": pod.name,
                    "namespace": "default",
                    "uid": pod.uid,
                    "resourceVersion": str(self.versions),
                    "labels": dict(pod.labels or {}),
                    "annotations": {"operator.kairos.io/node": node, "operator.kairos.io/nodeop": "op"},
                    "ownerReferences": [{"kind": "NodeOp", "name": "op", "uid": "u", "controller": True}],
                },
                "status": {
                    "phase": "Succeeded",
                    "containerStatuses": [
                        {
                            "name": "preflight",
                            "state": {"terminated": {"exitCode": 0, "message": "up to date"}},
                        }
                    ],
                },
            }
        )

    def step(self, node: str) -> str:
        """Where the stored status has a node."""
        return str(self.status.get("nodeStatuses", {}).get(node, {}).get("step"))


def _node(name: str) -> dict[str, Any]:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "status": ready}


def _node_op(version: int = 1, status: Any = None) -> dict[str, Any]:
    meta = {"name": "op", "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    spec = {"command": ["true"], "preflight": {"command": ["check"]}}
    return {"kind": NODE_OPS.kind, "metadata": meta, "spec": spec, "status": status or {}}


async def test_a_call_that_hangs_holds_up_its_own_node_only() -> None:
    server = _Server.with_nodes(2)
    controller = server.controller()
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: len(server.asked) == 2)
    server.gates["n00"].set()
    await eventually(lambda: len(server.caches.pods) == 1)
    server.passed("n00")
    await eventually(lambda: server.step("n00") == "Done")
    assert server.step("n01") == "Preflight"
    assert server.asked == ["create n00", "create n01"], "nothing is read for, or begun again on, a busy node"
    server.gates["n01"].set()
    await eventually(lambda: len(server.caches.pods) == 2)
    server.passed("n01")
    await eventually(lambda: server.step("n01") == "Done")
    controller.stop()
    await running


async def test_so_many_chains_at_once_and_the_others_in_their_order() -> None:
    server = _Server.with_nodes(AT_ONCE + 3)
    controller = server.controller()
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: len(server.asked) == AT_ONCE)
    await asyncio.sleep(0.05)
    assert len(server.asked) == AT_ONCE
    for gate in server.gates.values():
        gate.set()
    await eventually(lambda: len(server.caches.pods) == AT_ONCE + 3)
    assert server.asked == [f"create {name}" for name in server.gates]
    controller.stop()
    await running


async def test_a_stop_finishes_what_is_under_way_and_drops_the_rest() -> None:
    server = _Server.with_nodes(AT_ONCE + 3)
    controller = server.controller()
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: len(server.asked) == AT_ONCE)
    controller.stop()
    for gate in server.gates.values():
        gate.set()
    await running
    assert len(server.asked) == len(server.caches.pods) == AT_ONCE


async def test_a_chain_that_may_not_write_any_more_ends_the_leading() -> None:
    server = _Server.with_nodes(1)
    server.fault = lambda: NotLeader("the lease is lost")
    server.gates["n00"].set()
    controller = server.controller()
    controller.follow()
    with pytest.raises(NotLeader):
        await controller.run()


async def test_what_waits_for_its_turn_is_not_looked_for_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was stored that the check begins, and no call was begun since that could have made its pod."""
    monkeypatch.setattr("kairos_operator.runtime.chains.PATIENCE_SECONDS", 0.1)
    server = _Server.with_nodes(AT_ONCE + 3)
    controller = server.controller()
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: len(server.asked) == AT_ONCE)
    await asyncio.sleep(0.2)
    for gate in server.gates.values():
        gate.set()
    await eventually(lambda: len(server.caches.pods) == AT_ONCE + 3)
    assert sorted(server.asked) == sorted(f"create {name}" for name in server.gates)
    controller.stop()
    await running


async def test_what_was_absent_may_have_been_made_by_a_leader_in_between() -> None:
    server, key = _Server.with_nodes(1), ChildKey(Role.JOB, "n00")
    controller = server.controller()
    memory = controller._memory("of another operation")
    memory.absent.found_none(key)
    running = asyncio.create_task(controller.run())
    await eventually(lambda: controller.running)
    controller.stop()
    await running
    assert key not in memory.absent


async def test_a_refusal_is_shown_and_tried_again() -> None:
    server = _Server.with_nodes(1)
    server.fault = lambda: Forbidden(403, "Forbidden", "exceeded quota")
    server.gates["n00"].set()
    controller = server.controller()
    controller.follow()
    running = asyncio.create_task(controller.run())
    await eventually(lambda: "exceeded quota" in str(server.status))
    server.fault = None
    await eventually(lambda: len(server.caches.pods) == 1)
    controller.stop()
    await running


@pytest.mark.parametrize(
    ("nodes", "seconds"), [(1, 0.0), (100, 0.0), (1100, 0.2), (5100, 1.0), (50_000, 1.0)]
)
def test_large_statuses_are_written_once_a_second_and_small_ones_at_once(nodes: int, seconds: float) -> None:
    assert pace(nodes) == pytest.approx(seconds)
