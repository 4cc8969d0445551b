"""Nodes that are deleted, or registered anew, while the operation has something to do with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.names import Role
from kairos_operator.api.status import Outcome, Phase, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, needs
from tests.core.rollout import Rollout
from tests.core.world import after, job, node, op, ours, record, role_pod, snapshot, subjects

EVERYTHING: dict[str, Any] = {
    "cordon": True,
    "drain_options": {"enabled": True},
    "reboot_on_success": True,
    "preflight": {"command": ["check"]},
    "postflight": {"command": ["check"]},
}
FLYING = [Step.PREFLIGHT, Step.CLAIM, Step.DRAIN, Step.JOB, Step.REBOOT, Step.POSTFLIGHT]


@pytest.mark.parametrize("step", FLYING)
def test_a_node_that_is_deleted_in_the_middle_fails(step: Step) -> None:
    of = op(records={"n1": record(step)}, **EVERYTHING)
    status = after(snapshot(of, gone=frozenset({"n1"})))
    new = status.nodes["n1"]
    assert (new.step, new.outcome) == (Step.DONE, Outcome.FAILED)
    assert new.message == f"The node was deleted during its {step} step"
    assert status.phase is Phase.FAILED


@pytest.mark.parametrize("step", FLYING)
def test_a_node_that_is_registered_anew_in_the_middle_fails(step: Step) -> None:
    """Another UID is another node, whatever its name: what was done to the first was not done to it."""
    of = op(records={"n1": record(step)}, **EVERYTHING)
    facts = snapshot(of, node(uid="another"), released=frozenset({"n1"}))
    new = after(facts).nodes["n1"]
    assert (new.step, new.outcome) == (Step.DONE, Outcome.FAILED)
    assert new.message == f"The node was deleted and registered anew during its {step} step"
    assert subjects(facts) == []


@pytest.mark.parametrize("step", [*FLYING, Step.RELEASE])
def test_a_node_that_only_the_cache_does_not_have_is_read_live_first(step: Step) -> None:
    of = op(records={"n1": record(step)}, **EVERYTHING)
    made = plan(snapshot(of))
    assert (made.chains, made.recheck_after) == ((), 0.0)
    assert made.status is None or made.status.nodes["n1"].step is step
    assert "n1" in needs(of, {}).nodes


def test_what_ran_on_a_lost_node_is_ended() -> None:
    of = op(records={"n1": record(Step.JOB)}, **EVERYTHING)
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT)}
    facts = snapshot(of, gone=frozenset({"n1"}), jobs={"n1": job(of)}, pods=pods)
    assert [subject.split()[0:2] for subject in subjects(facts)] == [["delete", "Job"], ["delete", "Pod"]]


def test_a_node_that_is_deleted_before_its_turn_is_skipped() -> None:
    story = Rollout.of(op(concurrency=1), node("a"), node("b"))
    story.settle()
    del story.nodes["b"]
    story.run()
    assert (story.phase, story.message("b")) == (Phase.COMPLETED, "Skipped: node no longer exists")


def test_a_node_that_is_registered_anew_before_its_turn_is_the_node_of_that_name() -> None:
    story = Rollout.of(op(concurrency=1), node("a"), node("b"))
    story.settle()
    story.nodes["b"] = node("b", uid="anew")
    story.run()
    assert story.status.nodes["b"].outcome is Outcome.COMPLETED


def test_a_lost_node_frees_its_slot() -> None:
    story = Rollout.of(op(concurrency=1, reboot_on_success=True), node("a"), node("b"))
    while story.nodes["a"].ready:
        story.tick()
    del story.nodes["a"]
    story.pods.clear()
    story.run()
    assert [one.outcome for one in story.status.nodes.values()] == [Outcome.FAILED, Outcome.COMPLETED]


def test_a_node_under_deletion_is_still_given_back() -> None:
    of = op(records={"n1": record(Step.RELEASE, Outcome.COMPLETED)}, cordon=True)
    assert subjects(snapshot(of, replace(ours(of), deleting=True))) == ["release node n1"]


# What must be known


@pytest.mark.parametrize(
    ("step", "roles"),
    [
        (Step.PREFLIGHT, {Role.PREFLIGHT}),
        (Step.CLAIM, set()),
        (Step.DRAIN, set()),
        (Step.JOB, {Role.JOB, Role.REBOOT}),
        (Step.REBOOT, {Role.REBOOT}),
        (Step.POSTFLIGHT, {Role.POSTFLIGHT}),
        (Step.RELEASE, {Role.JOB, Role.REBOOT}),
    ],
)
def test_a_child_that_the_cache_does_not_have_is_read_live_in_its_step(step: Step, roles: set[Role]) -> None:
    of = op(records={"n1": record(step), "n2": record(Step.WAITING)}, **EVERYTHING)
    assert set(needs(of, {}).children) == {ChildKey(role, "n1") for role in roles}
    plain = op(records={"n1": record(step)}, reboot_on_success=False)
    assert Role.REBOOT not in {key.role for key in needs(plain, {}).children}


def test_a_finished_operation_needs_nothing() -> None:
    records = {"n1": record(Step.DONE, Outcome.FAILED), "n2": record(Step.WAITING)}
    found = needs(op(records=records, phase=Phase.FAILED, **EVERYTHING), {})
    assert (found.nodes, found.children, found.drains, found.releases) == (frozenset(), (), (), ())


def test_the_next_in_line_are_known_before_they_are_started() -> None:
    records = {
        "n1": record(Step.DONE, Outcome.COMPLETED),
        "n2": record(Step.WAITING),
        "n3": record(Step.WAITING),
    }
    assert needs(op(records=records, concurrency=1), {"n2": node("n2")}).nodes == {"n2"}


def test_the_pods_of_a_node_are_listed_only_while_it_drains() -> None:
    of = op(
        records={"n1": record(Step.DRAIN), "n2": record(Step.JOB), "n3": record(Step.CLAIM)}, **EVERYTHING
    )
    views = {"n3": ours(of, node("n3"))}
    assert needs(of, views).drains == ("n1", "n3")
    assert (
        needs(replace(of, meta=replace(of.meta, deleting_since=record(Step.JOB).started_at)), views).drains
        == ()
    )
