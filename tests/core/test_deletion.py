"""Deleting an operation in the middle: its cordons are lifted first, and nothing holds the deletion up for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.names import FINALIZER, Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, Phase, Step
from kairos_operator.core.cleanup import DELETION_PATIENCE_SECONDS
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, needs
from tests.core.rollout import Rollout
from tests.core.world import at, job, node, op, ours, record, role_pod, snapshot, subjects

OFF = "set the finalizer"
BUSY: dict[str, Any] = {"cordon": True, "drain_options": {"enabled": True}, "reboot_on_success": True}


def _deleted(records: dict[str, NodeStatus], **spec: Any) -> NodeOp:
    return op(records=records, meta={"deleting_since": at(0)}, **{"cordon": True, **spec})


def _delete(story: Rollout) -> None:
    assert story.op is not None
    meta = replace(story.op.meta, deleting_since=at(story.seconds))
    story.op = replace(story.op, meta=meta) if meta.finalizers else None


def test_the_finalizer_is_there_before_anything_else_happens() -> None:
    facts = snapshot(op(cordon=True, meta={"finalizers": ("other",)}), node())
    made = plan(facts)
    assert (made.status, subjects(facts)) == (None, [OFF])


def test_an_operation_that_holds_no_node_needs_no_finalizer() -> None:
    story = Rollout.of(op(meta={"finalizers": ()}), node()).run()
    assert story.op is not None
    assert story.op.meta.finalizers == ()


def test_the_finalizer_goes_with_success() -> None:
    story = Rollout.of(op(cordon=True), node()).run()
    story.settle()
    assert story.op is not None
    assert FINALIZER not in story.op.meta.finalizers


def test_the_finalizer_stays_with_a_cordon_that_is_kept_and_lifts_it_with_the_deletion() -> None:
    story = Rollout.of(op(cordon=True), node())
    story.job_failures["n1"] = "boom"
    story.run().settle()
    assert story.nodes["n1"].unschedulable
    _delete(story)
    story.settle()
    assert story.op is None
    assert not story.nodes["n1"].unschedulable


@pytest.mark.parametrize("forgetful", [False, True])
@pytest.mark.parametrize("ticks", range(8))
def test_deleted_at_any_moment_no_cordon_of_ours_is_left(ticks: int, forgetful: bool) -> None:
    story = Rollout.of(op(**BUSY, postflight={"command": ["check"]}), node(), forgetful=forgetful)
    story.tick(ticks)
    _delete(story)
    story.settle()
    assert story.op is None
    view = story.nodes["n1"]
    assert (view.unschedulable, view.cordoned_by, view.claimed_by) == (False, "", "")


def test_a_foreign_cordon_is_left() -> None:
    story = Rollout.of(op(cordon=True), node(unschedulable=True))
    story.settle()
    _delete(story)
    story.settle()
    assert (story.nodes["n1"].unschedulable, story.nodes["n1"].claimed_by) == (True, "")


def test_no_further_node_is_started() -> None:
    story = Rollout.of(op(cordon=True, concurrency=1), node("a"), node("b"))
    story.settle()
    _delete(story)
    story.settle()
    assert story.created == ["Job a"]


def test_what_runs_is_ended_before_the_node_is_given_back() -> None:
    of = _deleted({"n1": record(Step.JOB)}, reboot_on_success=True)
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT)}
    (chain,) = plan(snapshot(of, ours(of), jobs={"n1": job(of)}, pods=pods)).chains
    assert [action.subject.split()[0] for action in chain] == ["delete", "delete", "release"]


@pytest.mark.parametrize("stored", [Step.JOB, Step.REBOOT])
def test_a_node_in_the_middle_of_a_reboot_is_left_to_come_back(stored: Step) -> None:
    of = _deleted({"n1": record(stored)}, reboot_on_success=True)
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, reboot_state="completed")}
    jobs = {"n1": job(of, complete=True)}
    assert subjects(snapshot(of, ours(of), jobs=jobs, pods=pods)) == ["release node n1"]
    assert subjects(snapshot(of, ours(of), pods=pods)) == ["release node n1"], "with its Job deleted too"


@pytest.mark.parametrize(
    "step", [Step.CLAIM, Step.DRAIN, Step.JOB, Step.REBOOT, Step.POSTFLIGHT, Step.RELEASE]
)
def test_a_claim_that_the_cache_does_not_show_is_looked_for(step: Step) -> None:
    outcome = Outcome.COMPLETED if step is Step.RELEASE else None
    of = _deleted({"n1": record(step, outcome)}, reboot_on_success=True)
    view = node()
    assert needs(of, {"n1": view}).releases == ("n1",)
    made = plan(snapshot(of, view))
    assert (made.chains, made.recheck_after) == ((), 0.0)
    assert subjects(snapshot(of, view, released=frozenset({"n1"}))) == [OFF]


@pytest.mark.parametrize("step", [Step.WAITING, Step.PREFLIGHT])
def test_a_node_that_was_not_claimed_yet_holds_nothing_up(step: Step) -> None:
    assert subjects(snapshot(_deleted({"n1": record(step)}), node())) == [OFF]


def test_a_finalizer_of_an_operation_that_holds_nodes_no_more_holds_nothing_up() -> None:
    """Its spec was corrected before the start."""
    of = _deleted({"n1": record(Step.JOB)}, cordon=False)
    assert subjects(snapshot(of, node())) == [OFF]


def test_the_patience_has_an_end_and_it_is_told_why() -> None:
    of = _deleted({"n1": record(Step.JOB)})
    facts = snapshot(
        of, ours(of), seconds=DELETION_PATIENCE_SECONDS - 1, refusals={"release node n1": "forbidden"}
    )
    assert subjects(facts) == ["release node n1"]
    assert plan(facts).recheck_after == 1
    late = replace(facts, now=at(DELETION_PATIENCE_SECONDS), deleting_for=DELETION_PATIENCE_SECONDS)
    assert subjects(late) == [OFF]
    ahead = replace(late, deleting_for=1.0)
    assert subjects(ahead) == ["release node n1"], "a clock that is ahead of the API server's is no patience"
    (note,) = plan(late).notes
    assert (note.type, note.text.endswith(": forbidden")) == ("Warning", True)


def test_an_operation_under_deletion_without_our_finalizer_is_left_alone() -> None:
    of = op(
        records={"n1": record(Step.JOB)},
        cordon=True,
        meta={"deleting_since": at(0), "finalizers": ("other",)},
    )
    assert plan(snapshot(of, ours(of))).empty


def test_a_deleted_operation_writes_no_status() -> None:
    of = _deleted({"n1": record(Step.JOB)})
    assert plan(snapshot(of, ours(of))).status is None
    assert of.status.phase is Phase.RUNNING
