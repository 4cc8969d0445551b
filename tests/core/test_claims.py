"""Who holds a node: one operation that cordons or reboots at a time, and whose cordon it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.names import Claim
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, Phase, Step
from kairos_operator.core import orphans
from kairos_operator.core.actions import Action, ClaimNode
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import Mark, Standing, needs, works_on
from tests.core.rollout import Rollout
from tests.core.world import after, at, node, op, ours, record, snapshot, subjects

OTHER = "ops/firmware@uid-of-firmware"
GARBAGE = "somebody was here"


def _op(**spec: Any) -> NodeOp:
    return op(records={"n1": record(Step.CLAIM)}, **{"cordon": True, **spec})


def _actions(of: NodeOp, view: NodeView, **facts: Any) -> list[Action]:
    return [action for chain in plan(snapshot(of, view, **facts)).chains for action in chain]


def _claims(of: NodeOp, view: NodeView, standing: Standing | None = None) -> list[bool]:
    """The claims that a plan would make, each as whether it cordons."""
    texts = {view.claimed_by, view.cordoned_by} - {""}
    known = {Mark(text, view.name): standing for text in texts} if standing else {}
    actions = _actions(of, view, standings=known)
    return [action.cordon for action in actions if isinstance(action, ClaimNode)]


@pytest.mark.parametrize(
    ("view", "standing", "claims"),
    [
        pytest.param(node(), None, [True], id="a free node is claimed and cordoned"),
        pytest.param(node(unschedulable=True), None, [False], id="a foreign cordon stays theirs"),
        pytest.param(
            node(unschedulable=True, cordoned_by=GARBAGE),
            None,
            [False],
            id="a cordon of an unreadable name stays",
        ),
        pytest.param(node(claimed_by=OTHER), Standing.HOLDS, [], id="held by another: wait"),
        pytest.param(node(claimed_by=OTHER), Standing.DONE, [True], id="the other is done with it"),
        pytest.param(node(claimed_by=OTHER), Standing.GONE, [True], id="the other is gone"),
        pytest.param(node(claimed_by=GARBAGE), None, [], id="an unreadable claim is held"),
        pytest.param(
            node(unschedulable=True, cordoned_by=OTHER),
            Standing.HOLDS,
            [False],
            id="cordoned by a living operation",
        ),
        pytest.param(
            node(unschedulable=True, cordoned_by=OTHER),
            Standing.DONE,
            [False],
            id="the cordon that a failed operation kept stays its own",
        ),
        pytest.param(
            node(unschedulable=True, cordoned_by=OTHER),
            Standing.GONE,
            [True],
            id="a void cordon is taken over",
        ),
        pytest.param(
            node(cordoned_by=OTHER), Standing.DONE, [True], id="a lifted cordon's annotation means nothing"
        ),
    ],
)
def test_taking_a_node(view: NodeView, standing: Standing | None, claims: list[bool]) -> None:
    assert _claims(_op(), view, standing) == claims


@pytest.mark.parametrize(
    "view", [node(claimed_by=OTHER), node(unschedulable=True, cordoned_by=OTHER)], ids=["claim", "cordon"]
)
def test_nothing_is_decided_before_it_is_known_how_another_operation_stands(view: NodeView) -> None:
    made = plan(snapshot(_op(), view))
    assert made.chains == ()
    assert made.recheck_after == 0.0


def test_a_void_cordon_is_taken_over_by_an_operation_that_comes_upon_it() -> None:
    """Also in the plan that enters the step, when nothing is known yet of who set the cordon."""
    story = Rollout.of(op(cordon=True), node(unschedulable=True, cordoned_by=OTHER))
    story.standings[OTHER] = Standing.GONE
    story.run()
    assert not story.nodes["n1"].unschedulable


def test_an_operation_that_only_reboots_claims_without_a_cordon() -> None:
    assert _claims(_op(cordon=False, reboot_on_success=True), node()) == [False]


def test_an_operation_that_neither_cordons_nor_reboots_claims_nothing() -> None:
    status = after(snapshot(op(), node(claimed_by=OTHER)))
    assert status.nodes["n1"].step is Step.JOB


def test_the_claim_is_made_on_the_state_that_was_decided_on() -> None:
    (action,) = _actions(_op(), node(resource_version="77"))
    assert isinstance(action, ClaimNode)
    assert (action.resource_version, action.claim) == ("77", _op().meta.claim)


def test_the_step_is_stored_before_the_claim() -> None:
    made = plan(snapshot(op(cordon=True), node()))
    assert made.urgent
    assert made.status is not None
    assert made.status.nodes["n1"].step is Step.CLAIM


@pytest.mark.parametrize(
    ("claimed_by", "says"),
    [
        (OTHER, "Waiting for NodeOp ops/firmware, which holds this node"),
        (GARBAGE, "Waiting for the holder 'somebody was here', which holds this node"),
    ],
)
def test_the_one_that_waits_says_for_whom(claimed_by: str, says: str) -> None:
    known = {Mark(OTHER, "n1"): Standing.HOLDS}
    status = after(snapshot(_op(), node(claimed_by=claimed_by), standings=known))
    assert status.nodes["n1"].message == says


def test_a_refused_claim_is_said() -> None:
    facts = snapshot(_op(), node(), refusals={"claim node n1": "nodes is forbidden"})
    assert after(facts).nodes["n1"].message == "Cannot claim the node yet: nodes is forbidden"


def test_two_operations_of_one_name_are_two() -> None:
    of = _op()
    earlier = str(Claim("default", "op", "an earlier uid"))
    assert _claims(of, node(claimed_by=earlier), Standing.HOLDS) == []


def test_a_foreign_cordon_is_noted_and_survives_the_operation() -> None:
    story = Rollout.of(op(cordon=True), node(unschedulable=True)).run()
    assert story.phase is Phase.COMPLETED
    assert story.nodes["n1"].unschedulable
    assert story.nodes["n1"].claimed_by == ""
    assert any("AlreadyCordoned" in line for line in story.story)
    assert story.message("n1").endswith("(the node stays cordoned, which was not this NodeOp's doing)")


def test_the_second_operation_goes_on_once_the_first_is_done() -> None:
    story = Rollout.of(op(cordon=True), node(claimed_by=OTHER))
    story.standings[OTHER] = Standing.HOLDS
    story.tick(3)
    assert story.jobs == {}
    story.standings[OTHER] = Standing.DONE
    assert story.run().phase is Phase.COMPLETED


# Claims of operations that no longer exist


def test_what_a_deleted_operation_left_is_taken_off() -> None:
    view = node(claimed_by=OTHER, cordoned_by=OTHER, unschedulable=True)
    (gone,) = orphans.claims_on(view)
    action = orphans.release(view, gone)
    assert action is not None
    assert (action.uncordon, action.resource_version) == (True, view.resource_version)


def test_a_foreign_cordon_is_no_orphan() -> None:
    assert orphans.claims_on(node(unschedulable=True, cordoned_by=GARBAGE)) == ()
    assert orphans.release(node(unschedulable=True), Claim("ops", "firmware", "uid")) is None


def test_a_cordon_is_not_lifted_under_an_operation_that_works_behind_it() -> None:
    """Its pods would come back in the middle of the drain, and be killed by the reboot. It is lifted afterwards."""
    of = _op()
    gone = Claim.parse(OTHER)
    assert gone is not None
    view = replace(ours(of, cordoned=False), cordoned_by=OTHER, unschedulable=True)
    assert orphans.release(view, gone) is None
    assert orphans.release(replace(view, claimed_by=""), gone) is not None


def test_a_deleted_operation_does_not_lift_its_cordon_under_another_one_either() -> None:
    records = {"n1": record(Step.DONE, None, keep_cordon=True)}
    of = op(
        records=records, phase=Phase.FAILED, cordon=True, meta={"deleting_since": record(Step.JOB).started_at}
    )
    view = replace(ours(of), claimed_by=OTHER)
    assert subjects(snapshot(of, view)) == ["set the finalizer"]
    assert subjects(snapshot(of, replace(view, claimed_by=""))) == ["release node n1"]


def test_a_node_on_which_another_operation_is_at_work_is_not_claimed_though_it_carries_no_claim() -> None:
    """The Node was deleted and registered anew under the other one's work, and its claim went with it."""
    facts = snapshot(_op(), node(), holders={"n1": "ops/firmware"})
    made = plan(facts)
    assert made.status is not None
    assert made.status.nodes["n1"].message == "Waiting for NodeOp ops/firmware, which is at work on this node"
    assert (made.chains, made.recheck_after) == ((), 5.0)


@pytest.mark.parametrize("step", list(Step))
def test_who_is_at_work_on_a_node(step: Step) -> None:
    working = step in (Step.DRAIN, Step.JOB, Step.REBOOT, Step.POSTFLIGHT, Step.RELEASE)
    of = op(records={"n1": record(step)}, cordon=True)
    assert works_on(of, "n1") is working
    assert not works_on(of, "n2")
    assert not works_on(op(records={"n1": record(step)}), "n1"), "what disrupts nothing holds nothing"
    assert not works_on(op(records={"n1": record(step)}, phase=Phase.FAILED, cordon=True), "n1")
    assert not works_on(op(records={"n1": record(step)}, meta={"deleting_since": at(0)}, cordon=True), "n1")


@pytest.mark.parametrize(
    ("one", "begins"),
    [
        pytest.param(record(Step.WAITING), True, id="next in line"),
        pytest.param(record(Step.PREFLIGHT), False, id="a check disrupts nothing"),
        pytest.param(record(Step.CLAIM), True, id="claiming"),
        pytest.param(record(Step.DRAIN), True, id="the Job comes next"),
        pytest.param(record(Step.JOB), True, id="the Job may not be there yet"),
        pytest.param(record(Step.JOB, job_uid="1"), False, id="the Job is there"),
        pytest.param(record(Step.REBOOT), False, id="the reboot has a proof of its own"),
        pytest.param(record(Step.DONE, Outcome.COMPLETED), False, id="done"),
    ],
)
def test_nodes_on_which_something_begins_are_to_be_known_by_a_recent_view(
    one: NodeStatus, begins: bool
) -> None:
    of = op(records={"n1": one}, cordon=True)
    assert needs(of, {"n1": node()}).recent == (frozenset({"n1"}) if begins else frozenset())
