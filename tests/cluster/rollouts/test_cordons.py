"""Whose cordon it is, and that nobody else's is ever lifted."""

from __future__ import annotations

import pytest

from kairos_operator.api.names import ANNOTATION_CLAIMED_BY, ANNOTATION_CORDONED_BY
from kairos_operator.api.resources import NODE_OPS, NODES
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import NodeSpec, Outcome, Rule

pytestmark = pytest.mark.realcluster
SLOW = NodeSpec("a", rules=(Rule(Outcome(seconds=40), container="nodeop"),))


async def _running(a: Arena) -> None:
    await a.until(lambda: a.runs("a", "nodeop"), "the command runs")


async def test_a_node_that_somebody_cordoned_before_stays_cordoned(arena: Open) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        await a.cordon("a")
        await a.until(lambda: a.cordoned("a"), "a is cordoned")
        await a.upgrade()
        await a.upgraded()
        assert a.cordoned("a")
        assert not a.cordoned("b")
        seen = [one.obj for one in a.recorder.sightings if one.path == ("", a.full("a"))]
        assert not any(ANNOTATION_CORDONED_BY in (one["metadata"].get("annotations") or {}) for one in seen)
        assert "somebody else" in await a.event("AlreadyCordoned")


async def test_a_person_uncordons_in_the_middle_and_is_not_overruled(arena: Open) -> None:
    async with arena(SLOW) as a:
        await a.node_op(cordon=True)
        await _running(a)
        await a.uncordon("a")
        await a.until(lambda: not a.cordoned("a"), "a is schedulable")
        seen = len(a.recorder.sightings)
        await a.finished()
        later = [one.obj for one in a.recorder.sightings[seen:] if one.resource is NODES]
        assert not any(one["spec"].get("unschedulable") for one in later)


@pytest.mark.parametrize("value", ["alice, because of the disks", None])
async def test_a_person_takes_the_cordon_over_and_keeps_it(arena: Open, value: str | None) -> None:
    async with arena(SLOW) as a:
        await a.node_op(cordon=True)
        await _running(a)
        await a.patch(NODES, a.full("a"), {"metadata": {"annotations": {ANNOTATION_CORDONED_BY: value}}})
        await a.until(lambda: a.cordoned_by("a") == (value or ""), "it is taken over")
        await a.finished()
        assert a.cordoned("a")
        assert a.cordoned_by("a") == (value or "")
        assert "was not this NodeOp's doing" in a.message("a")


async def test_a_kept_cordon_that_somebody_lifted_is_not_this_operations_any_more(arena: Open) -> None:
    bad = NodeSpec("a", rules=(Rule(Outcome(exit_code=1), container="nodeop"),))
    async with arena(bad) as a:
        await a.node_op(cordon=True, backoffLimit=0)
        await a.finished(phase="Failed")
        assert a.cordoned("a")
        assert f"kubectl uncordon {a.full('a')}" in a.message("a")
        await a.uncordon("a")
        await a.until(lambda: not a.cordoned_by("a"), "the annotation goes with the cordon")
        await a.cordon("a")
        await a.delete(NODE_OPS, "op")
        await a.until(lambda: not a.status(), "the NodeOp is gone")
        assert (await a.read(NODES, a.full("a")))["spec"]["unschedulable"]


async def test_uncordon_on_failure_lifts_the_cordon(arena: Open) -> None:
    bad = NodeSpec("a", rules=(Rule(Outcome(exit_code=1), container="nodeop"),))
    async with arena(bad) as a:
        await a.node_op(cordon=True, backoffLimit=0, uncordonOnFailure=True)
        await a.finished(phase="Failed")
        await a.until(lambda: not a.cordoned("a"), "the node is schedulable")


async def test_the_cordon_of_an_operation_that_no_longer_exists_is_cleaned_up_and_no_other(
    arena: Open,
) -> None:
    async with arena(NodeSpec("a"), NodeSpec("b")) as a:
        gone = f"{a.tag}/gone@00000000-0000-0000-0000-000000000000"
        for name, value in (("a", gone), ("b", "alice")):
            marks = {ANNOTATION_CORDONED_BY: value, ANNOTATION_CLAIMED_BY: value}
            body = {"metadata": {"annotations": marks}, "spec": {"unschedulable": True}}
            await a.patch(NODES, a.full(name), body)
        a.uncordoned[a.full("a")] += 1  # not a person, but the one cordon of no operation here that may go
        await a.until(lambda: a.cordoned("b"), "what was written is seen, of a too, which came first")
        await a.until(lambda: not a.cordoned("a") and not a.cordoned_by("a"), "a is cleaned up")
        assert a.cordoned("b")
        assert a.cordoned_by("b") == "alice"
