"""Giving a node back: what is taken off it, what stays, and that the operation ends whatever became of the node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import Outcome, Phase, Step
from kairos_operator.core.actions import ReleaseNode
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey
from tests.core.rollout import Rollout
from tests.core.world import after, job, node, op, ours, record, role_pod, snapshot, subjects

OTHER = "ops/firmware@uid-of-firmware"


def _op(outcome: Outcome = Outcome.COMPLETED, keep: bool | None = None, **spec: Any) -> NodeOp:
    known = record(Step.RELEASE, outcome, keep_cordon=keep, message="Said")
    return op(records={"n1": known}, **{"cordon": True, **spec})


def _releases(of: NodeOp, view: NodeView) -> list[bool]:
    """The releases that a plan would make, each as whether it uncordons."""
    chains = plan(snapshot(of, view)).chains
    return [action.uncordon for chain in chains for action in chain if isinstance(action, ReleaseNode)]


@pytest.mark.parametrize(
    ("of", "view", "releases"),
    [
        pytest.param(_op(), ours(_op()), [True], id="success"),
        pytest.param(_op(Outcome.FAILED), ours(_op()), [True], id="failure before the work"),
        pytest.param(
            _op(Outcome.FAILED, keep=True), ours(_op()), [False], id="failure in the work keeps the cordon"
        ),
        pytest.param(
            _op(), replace(ours(_op()), cordoned_by=""), [False], id="a cordon that somebody adopted"
        ),
        pytest.param(_op(), replace(ours(_op()), cordoned_by=OTHER), [False], id="somebody else's cordon"),
        pytest.param(_op(), replace(ours(_op()), unschedulable=False), [True], id="lifted in the middle"),
        pytest.param(
            _op(Outcome.FAILED, keep=True),
            replace(ours(_op()), unschedulable=False),
            [True],
            id="lifted, not kept",
        ),
        pytest.param(_op(), replace(ours(_op()), claimed_by=""), [True], id="the claim was removed"),
        pytest.param(_op(), node(claimed_by=OTHER), [], id="taken over"),
        pytest.param(_op(), node(unschedulable=True), [], id="cordoned by somebody, nothing of ours"),
    ],
)
def test_what_is_taken_off_the_node(of: NodeOp, view: NodeView, releases: list[bool]) -> None:
    assert _releases(of, view) == releases


@pytest.mark.parametrize(
    ("spec", "step", "keeps"),
    [
        ({}, Step.CLAIM, None),
        ({}, Step.DRAIN, None),
        ({}, Step.JOB, True),
        ({}, Step.REBOOT, True),
        ({}, Step.POSTFLIGHT, True),
        ({"uncordon_on_failure": True}, Step.JOB, None),
        ({"uncordon_on_failure": True}, Step.POSTFLIGHT, None),
        ({"cordon": False, "reboot_on_success": True}, Step.JOB, None),
    ],
)
def test_a_failure_keeps_the_cordon_only_once_the_work_has_begun(
    spec: Any, step: Step, keeps: bool | None
) -> None:
    of = op(records={"n1": record(step)}, **{"cordon": True, **spec})
    another = ours(of, node(uid="another"))
    assert after(snapshot(of, another)).nodes["n1"].keep_cordon is keeps


def test_a_node_that_is_gone_holds_nothing() -> None:
    new = after(snapshot(_op(), gone=frozenset({"n1"}))).nodes["n1"]
    assert (new.step, new.outcome) == (Step.DONE, Outcome.COMPLETED)


def test_a_node_that_is_not_in_the_cache_may_still_hold_something() -> None:
    made = plan(snapshot(_op()))
    assert made.recheck_after == 0.0
    assert (made.status or _op().status).nodes["n1"].step is Step.RELEASE


def test_a_claim_that_the_cache_does_not_show_is_looked_for() -> None:
    """The answer to the claim's write may have been lost: then the claim may stand though nobody saw it."""
    facts = snapshot(_op(), node())
    assert plan(facts).recheck_after == 0.0
    assert after(facts).nodes["n1"].step is Step.RELEASE
    assert after(replace(facts, released=frozenset({"n1"}))).nodes["n1"].step is Step.DONE


def test_a_kept_cordon_is_sign_enough_that_the_claim_is_gone() -> None:
    """The operator restarted between the release and its being stored; it must not look for ever."""
    of = _op(Outcome.FAILED, keep=True)
    assert after(snapshot(of, replace(ours(of), claimed_by=""))).nodes["n1"].step is Step.DONE


@pytest.mark.parametrize(
    ("view", "says"),
    [
        (node(), "Said"),
        (node(unschedulable=True), "Said (the node stays cordoned, which was not this NodeOp's doing)"),
        (
            node(unschedulable=True, cordoned_by="default/before@uid"),
            "Said (the node stays cordoned by NodeOp default/before; kubectl uncordon n1 once it is good)",
        ),
        (
            node(unschedulable=True, cordoned_by="alice"),
            "Said (the node stays cordoned, which was not this NodeOp's doing)",
        ),
        (
            replace(ours(_op()), claimed_by=""),
            "Said (the node stays cordoned; kubectl uncordon n1 once it is good)",
        ),
    ],
)
def test_what_is_said_of_a_cordon_that_stays(view: NodeView, says: str) -> None:
    of = _op(Outcome.FAILED, keep=True)
    assert after(snapshot(of, view, released=frozenset({"n1"}))).nodes["n1"].message == says


def test_a_refused_release_is_tried_again_and_holds_the_slot() -> None:
    facts = snapshot(_op(), ours(_op()), refusals={"release node n1": "forbidden"})
    assert plan(facts).recheck_after == 5.0
    assert after(facts).nodes["n1"].in_flight


def test_what_must_not_go_on_ends_before_the_node_is_given_back() -> None:
    of = _op(Outcome.FAILED, keep=True, reboot_on_success=True)
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT)}
    facts = snapshot(of, ours(of), jobs={"n1": job(of)}, pods=pods)
    assert [subject.split()[0:2] for subject in subjects(facts)] == [["delete", "Job"], ["delete", "Pod"]]
    over = replace(facts, jobs={"n1": job(of, failed=True)}, pods={})
    assert subjects(over) == ["release node n1"]


def test_a_successful_nodes_children_stay_to_be_read() -> None:
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(_op(), Role.REBOOT, phase="Succeeded")}
    facts = snapshot(_op(), ours(_op()), jobs={"n1": job(_op(), complete=True)}, pods=pods)
    assert subjects(facts) == ["release node n1"]


def test_an_uncordon_in_the_middle_of_the_work_is_left_as_it_is() -> None:
    story = Rollout.of(op(cordon=True), node())
    story.settle()
    story.nodes["n1"] = replace(story.nodes["n1"], unschedulable=False)
    story.run()
    assert story.phase is Phase.COMPLETED
    assert (story.nodes["n1"].unschedulable, story.nodes["n1"].cordoned_by) == (False, "")


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_failed_node_keeps_its_cordon_until_the_operation_is_deleted(forgetful: bool) -> None:
    story = Rollout.of(op(cordon=True), node(), forgetful=forgetful)
    story.job_failures["n1"] = "boom"
    story.run()
    assert story.op is not None
    view = story.nodes["n1"]
    assert (view.unschedulable, view.claimed_by, view.cordoned_by) == (True, "", str(story.op.meta.claim))


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.FAILED])
def test_a_kept_cordon_that_a_person_lifts_is_ours_no_longer(phase: Phase) -> None:
    """Else the cordon that this person sets next month would be lifted with the deletion of this operation."""
    records = {"n1": record(Step.DONE, Outcome.FAILED, keep_cordon=True), "n2": record(Step.JOB, name="n2")}
    of = op(records=records, phase=phase, cordon=True)
    held = ours(of, node("n2"))
    kept = replace(ours(of), claimed_by="")
    assert "release node n1" not in subjects(snapshot(of, kept, held))
    assert "release node n1" in subjects(snapshot(of, replace(kept, unschedulable=False), held))


def test_a_job_that_turns_up_on_a_failed_node_is_ended() -> None:
    """Its create had no answer, and took effect after the node was given up."""
    records = {"n1": record(Step.DONE, Outcome.FAILED), "n2": record(Step.JOB, name="n2")}
    of = op(records=records)
    facts = snapshot(of, node(), node("n2"), jobs={"n1": job(of), "n2": job(of, "n2")})
    assert subjects(facts) == [f"delete Job {job(of).name}"]
