"""Nodes that come, go and change in the middle, and names of every length."""

from __future__ import annotations

import pytest

from kairos_operator.api.names import ANNOTATION_NODE, ANNOTATION_NODE_OP
from kairos_operator.api.resources import JOBS, NODES
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import NodeSpec, Outcome, Reboot, Rule

pytestmark = pytest.mark.realcluster
SLOW = Rule(Outcome(seconds=40), container="nodeop")


async def _running(a: Arena) -> None:
    await a.until(lambda: a.runs("a", "nodeop"), "the command runs")


async def test_a_node_deleted_before_its_turn_is_skipped(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,)), NodeSpec("b"), NodeSpec("c")) as a:
        await a.node_op(concurrency=1)
        await _running(a)
        await a.remove_node("b")
        await a.finished()
        assert a.message("b") == "Skipped: node no longer exists"
        assert a.on("c")["phase"] == "Completed"


async def test_a_node_deleted_in_the_middle_fails_and_frees_its_slot(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,)), NodeSpec("b")) as a:
        await a.node_op(concurrency=1, cordon=True)
        await _running(a)
        await a.remove_node("a")
        await a.finished(phase="Failed")
        assert "was deleted" in a.message("a")
        assert a.on("b")["phase"] == "Completed"


async def test_a_node_registered_anew_in_the_middle_is_another_one(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,))) as a:
        await a.node_op(cordon=True)
        await _running(a)
        await a.register_anew("a")
        await a.finished(phase="Failed")
        assert "was deleted" in a.message("a")
        assert not a.cordoned("a")


async def test_a_node_back_under_another_name_is_not_taken_for_it(arena: Open) -> None:
    async with arena(NodeSpec("a", reboot=Reboot(comes_back=False))) as a:
        await a.node_op(cordon=True, rebootOnSuccess=True, rebootTimeoutSeconds=4)
        await a.until(lambda: a.node("a").power == "down", "the node reboots")
        await a.fleet.add_node(a.own(NodeSpec("renamed")))
        await a.finished(phase="Failed")
        assert set(a.status()["nodeStatuses"]) == {a.full("a")}
        assert "not back after 4 s" in a.message("a")


async def test_a_node_that_joins_or_leaves_the_selection_changes_nothing(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(SLOW,)), NodeSpec("b")) as a:
        await a.node_op(concurrency=1)
        await _running(a)
        await a.fleet.add_node(a.own(NodeSpec("late")))
        await a.patch(NODES, a.full("b"), {"metadata": {"labels": {"pool": "other"}}})
        await a.finished()
        assert set(a.status()["nodeStatuses"]) == {a.full("a"), a.full("b")}
        assert a.node("late").commands_run == []
        assert a.on("b")["phase"] == "Completed"


async def test_an_empty_selection_completes_and_says_so(arena: Open) -> None:
    async with arena() as a:
        await a.node_op()
        await a.upgrade("up")
        await a.finished()
        await a.upgraded()
        for status in (a.status(), a.upgrade_status()):
            assert "No node matches" in status["message"]
        assert "No node matches" in await a.event("NothingSelected")


async def test_match_expressions_choose_nodes(arena: Open) -> None:
    async with arena(
        NodeSpec("a", labels={"pool": "x"}), NodeSpec("b", labels={"pool": "y"}), NodeSpec("c")
    ) as a:
        expressions = [
            {"key": "pool", "operator": "NotIn", "values": ["x"]},
            {"key": "arena", "operator": "In", "values": [a.tag]},
        ]
        await a.node_op(nodeSelector={"matchExpressions": expressions})
        await a.finished()
        assert set(a.status()["nodeStatuses"]) == {a.full("b"), a.full("c")}


async def test_the_longest_names(arena: Open) -> None:
    long = "-".join(["n" * 60] * 4)[:240]
    node = NodeSpec(long, labels={"kubernetes.io/hostname": "short"})
    async with arena(node) as a:
        operation = ("o" * 60 + ".") * 4 + "o" * 9
        assert len(operation) == 253
        check = {"command": ["check"]}
        await a.node_op(operation, cordon=True, rebootOnSuccess=True, preflight=check, postflight=check)
        await a.finished(operation)
        jobs = [one.obj for one in a.recorder.sightings if one.resource is JOBS]
        assert len(jobs[0]["metadata"]["name"]) <= 63
        marks = jobs[0]["metadata"]["annotations"]
        assert (marks[ANNOTATION_NODE_OP], marks[ANNOTATION_NODE]) == (operation, a.full(long))
        assert a.node(long).boots == 2


async def test_the_longest_name_of_an_upgrade(arena: Open) -> None:
    async with arena(NodeSpec("a")) as a:
        name = "u" * 253
        await a.upgrade(name)
        await a.upgraded(name)
        assert a.node("a").boots == 2
