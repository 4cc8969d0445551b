"""Pausing and going on; what is finished stays finished; nothing is written while nothing changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kairos_operator.api.names import ANNOTATION_PAUSED
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, PODS, Resource
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.conftest import Open
from tests.cluster.rollouts.replica import Replica
from tests.sandbox.fleet import NodeSpec, Outcome, Rule

pytestmark = pytest.mark.realcluster
QUIET_SECONDS = 3.0
KINDS = pytest.mark.parametrize("resource", [NODE_OPS, NODE_OP_UPGRADES], ids=lambda resource: resource.kind)


async def _annotate(a: Arena, resource: Resource, value: str | None) -> None:
    await a.patch(resource, "op", {"metadata": {"annotations": {ANNOTATION_PAUSED: value}}})


async def _begin(a: Arena, resource: Resource, paused: bool = False) -> None:
    annotations = {ANNOTATION_PAUSED: "true"} if paused else {}
    if resource is NODE_OPS:
        await a.node_op(concurrency=1, cordon=True, annotations=annotations)
    else:
        await a.upgrade("op", concurrency=1, annotations=annotations)


def told(a: Arena, resource: Resource, node: str) -> dict[str, Any]:
    """What an operation of either kind says of a node."""
    nodes = (a.latest(resource, "op").get("status") or {}).get("nodeStatuses") or {}
    found: dict[str, Any] = nodes.get(a.full(node), {})
    return found


@KINDS
async def test_paused_in_the_middle_and_resumed_where_it_stood(arena: Open, resource: Resource) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        await _begin(a, resource)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        await _annotate(a, resource, "true")
        await a.until(lambda: a.on("a").get("phase") == "Completed", "the node in flight finishes")
        await a.until(
            lambda: a.condition("Paused", "op", resource).get("status") == "True", "the pause shows"
        )
        assert a.on("b")["phase"] == "Pending"
        await a.until(lambda: told(a, resource, "a").get("phase") == "Completed", "that is told")
        before = [a.latest(one, "op") for one in (NODE_OPS, NODE_OP_UPGRADES)]
        await asyncio.sleep(QUIET_SECONDS)
        assert [a.latest(one, "op") for one in (NODE_OPS, NODE_OP_UPGRADES)] == before
        assert a.node("b").commands_run == []
        await _annotate(a, resource, None)
        await a.finished()
        assert a.condition("Paused", "op", resource).get("status") != "True"


@KINDS
async def test_created_paused_nothing_starts_until_it_is_resumed(arena: Open, resource: Resource) -> None:
    async with arena(NodeSpec("a")) as a:
        await _begin(a, resource, paused=True)
        await a.until(
            lambda: a.condition("Paused", "op", resource).get("status") == "True", "the pause shows"
        )
        assert a.node("a").commands_run == []
        await _annotate(a, resource, None)
        await a.finished()


async def test_a_finished_operation_stays_finished(arena: Open, operator: Replica) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.upgrade()
        await a.upgraded()
        await a.until(lambda: not a.latest(NODE_OPS, "up")["metadata"].get("finalizers"), "it holds nothing")
        before = [
            a.latest(resource, "up")["metadata"]["resourceVersion"]
            for resource in (NODE_OPS, NODE_OP_UPGRADES)
        ]
        await a.fleet.add_node(a.own(NodeSpec("late")))
        for resource in (JOBS, PODS):
            for one in await a.items(resource):
                await a.delete(resource, one["metadata"]["name"], propagationPolicy="Background")
        a.reboot("a")
        operator.kill()
        await operator.start()
        await asyncio.sleep(QUIET_SECONDS)
        after = [
            a.latest(resource, "up")["metadata"]["resourceVersion"]
            for resource in (NODE_OPS, NODE_OP_UPGRADES)
        ]
        assert after == before
        assert a.node("late").commands_run == []
        assert a.node("a").programs_run.count("upgrade") == 1
        assert not await a.items(JOBS)


@pytest.mark.parametrize("phase", ["Running", "Completed"])
async def test_nothing_is_written_while_nothing_changes(arena: Open, phase: str) -> None:
    hangs = (Rule(Outcome(hangs=True), container="nodeop"),) if phase == "Running" else ()
    async with arena(NodeSpec("a", rules=hangs), NodeSpec("b")) as a:
        await a.upgrade(concurrency=1)
        if phase == "Running":
            await a.until_says("a", "is running", "up")
            await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        else:
            await a.upgraded()
        await asyncio.sleep(3.5)  # the NodeOp tells new texts within a second, and its upgrade within another
        before = len(a.recorder.sightings)
        await asyncio.sleep(QUIET_SECONDS)
        assert [f"{one.resource.kind} {one.path}" for one in a.recorder.sightings[before:]] == []
