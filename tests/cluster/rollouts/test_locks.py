"""Two operations and one node; two operations and one name."""

from __future__ import annotations

import asyncio

import pytest

from kairos_operator.api.names import LABEL_REBOOT
from kairos_operator.api.resources import NODE_OPS, ROLE_BINDINGS, ROLES
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import NodeSpec, Outcome, Rule

pytestmark = pytest.mark.realcluster
SLOW = Rule(Outcome(seconds=40), container="nodeop", times=1)


def _commands(a: Arena) -> list[str]:
    """The operations whose commands ended, in that order."""
    ends = [one.pod for one in a.fleet.journal if (one.event, one.container) == ("end", "nodeop")]
    return [pod.split("-")[0] for pod in ends]


async def _one_waits_for_the_other(a: Arena) -> None:
    await a.node_op("first", cordon=True)
    await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
    await a.node_op("second", cordon=True, rebootOnSuccess=True)
    await a.until_says("a", f"Waiting for NodeOp {a.tag}/first", "second")


async def test_the_second_operation_on_a_node_waits_and_says_for_whom(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await _one_waits_for_the_other(a)
        await a.finished("first")
        await a.finished("second")
        assert _commands(a) == ["first", "second"]


async def test_the_claim_of_a_deleted_operation_is_void(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await _one_waits_for_the_other(a)
        await a.delete(NODE_OPS, "first")
        await a.finished("second")
        assert not a.cordoned("a")


async def test_an_operation_that_disrupts_nothing_does_not_wait(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op("first", cordon=True)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        await a.node_op("second")
        await a.finished("second")
        assert a.status("first")["phase"] == "Running"
        await a.finished("first")


async def test_a_drain_waits_for_the_command_of_an_operation_that_disrupts_nothing(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op("first", backoffLimit=0)
        await a.until(lambda: a.runs("a", "nodeop"), "the command runs")
        await a.node_op("second", cordon=True, drainOptions={"enabled": True})
        await a.until_says("a", "(NodeOp first at work) to end", "second")
        await a.finished("first")
        await a.finished("second")
        assert _commands(a) == ["first", "second"]


async def test_operations_of_one_name_in_two_namespaces_never_meet(arena: Open) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b"), NodeSpec("c")) as a:
        other = await a.namespace("other")
        await asyncio.gather(a.upgrade("same", force=True), a.upgrade("same", namespace=other, force=True))
        await a.until(lambda: {*a.status("same"), *a.status("same", other)}, "both have begun")
        await a.upgraded("same")
        await a.upgraded("same", namespace=other)
        # Each node was upgraded and rebooted by each of the two, one after the other.
        assert [a.node(name).boots for name in "abc"] == [3, 3, 3]
        for space in (a.tag, other):
            accounts = [one["subjects"][0]["namespace"] for one in await a.items(ROLE_BINDINGS, space)]
            assert set(accounts) == {space}
            for role in await a.items(ROLES, space):
                names = [role["metadata"]["name"]]
                rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"]}
                assert role["rules"] == [{**rule, "resourceNames": names}]
                assert LABEL_REBOOT in role["metadata"]["labels"]


async def test_many_operations_on_the_same_nodes_all_end(arena: Open) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        names = [f"op-{number}" for number in range(4)]
        await asyncio.gather(*(a.node_op(name, cordon=True, concurrency=1) for name in names))
        for name in names:
            await a.finished(name)


async def test_a_nodeop_of_the_upgrades_name_is_never_adopted(arena: Open) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.node_op("up")
        await a.finished("up")
        before = a.latest(NODE_OPS, "up")["metadata"]["resourceVersion"]
        await a.upgrade("up")
        status = await a.upgraded(phase="Failed")
        assert f"NodeOp {a.tag}/up exists" in status["message"]
        assert a.latest(NODE_OPS, "up")["metadata"]["resourceVersion"] == before
        assert a.node("a").programs_run == []
