"""The Job: made once, never made anew, and what its ends mean."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest

from kairos_operator.api.cluster import JobView
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp, Owner
from kairos_operator.api.status import NodeStatus, Outcome, RebootStatus, Step
from kairos_operator.core.actions import Create
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.world import (
    after,
    ended,
    job,
    node,
    op,
    ours,
    pod,
    record,
    role_pod,
    snapshot,
    subjects,
)


def _op(known: dict[str, Any] | None = None, **spec: Any) -> NodeOp:
    return op(records={"n1": record(Step.JOB, **(known or {}))}, **spec)


def _facts(of: NodeOp, found: JobView | None = None, **facts: Any) -> Snapshot:
    return snapshot(of, facts.pop("view", None) or node(), jobs={"n1": found} if found else {}, **facts)


def _new(of: NodeOp, found: JobView | None = None, **facts: Any) -> NodeStatus:
    return after(_facts(of, found, **facts)).nodes["n1"]


def _reboot_pod(of: NodeOp, **facts: Any) -> dict[ChildKey, Any]:
    return {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **facts)}


def _creates(facts: Snapshot) -> list[str]:
    return [subject.rpartition(" ")[0].removeprefix("create ") for subject in subjects(facts)]


def test_the_job_is_made_with_the_plan_that_stores_the_step_and_its_name() -> None:
    made = plan(snapshot(op(), node()))
    assert made.urgent
    assert made.status is not None
    entry = made.status.nodes["n1"]
    assert entry.step is Step.JOB
    assert [action.subject for chain in made.chains for action in chain] == [f"create Job {entry.job_name}"]


@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.JOB])
def test_a_body_that_is_made_later_keeps_no_facts_about_thousands_of_nodes_until_then(step: Step) -> None:
    """Chains of 500 nodes wait for their turn: each with its look's snapshot was tens of megabytes."""
    check = {"command": ["check"]}
    records = {"n1": record(step), "n2": record(Step.WAITING)}
    of = op(records=records, concurrency=1, reboot_on_success=True, preflight=check)
    facts = snapshot(of, ours(of), node("n2"))
    creates = [one for chain in plan(facts).chains for one in chain if isinstance(one, Create)]
    assert len(creates) == (1 if step is Step.PREFLIGHT else 5)
    for create in creates:
        kept = [one for one in cast("partial[Any]", create.make).args if isinstance(one, Snapshot)]
        assert [(one.nodes, one.op.status.nodes) for one in kept] == [({}, {})]
        assert create.make()["metadata"]["name"] == create.name


def test_a_job_that_was_never_seen_is_made() -> None:
    """The operator died between storing the step and the create."""
    assert _creates(_facts(_op())) == ["Job"]


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        pytest.param({"job_uid": "seen"}, frozenset(), id="by what is stored"),
        pytest.param({}, frozenset({"n1"}), id="by this process, before a look could store it"),
    ],
)
def test_a_job_that_was_seen_is_never_made_anew(stored: dict[str, Any], seen: frozenset[str]) -> None:
    facts = _facts(_op(stored), jobs_seen=seen)
    assert subjects(facts) == []
    new = after(facts).nodes["n1"]
    assert new.outcome is Outcome.FAILED
    assert "is gone before its end was seen, and is not made anew" in (new.message or "")


def test_a_job_is_not_made_where_the_node_was_rebooted_for_it_already() -> None:
    of = _op(reboot_on_success=True)
    facts = _facts(of, pods=_reboot_pod(of, reboot_state="completed"))
    assert "Job" not in _creates(facts)
    assert after(facts).nodes["n1"].outcome is Outcome.FAILED


def test_a_job_that_rebooted_the_node_and_was_deleted_since_has_succeeded() -> None:
    """Only the command's success lets the reboot pod speak: ending the pod in the middle would be the worse for it."""
    of = _op({"job_uid": "seen"}, reboot_on_success=True)
    facts = _facts(of, pods=_reboot_pod(of, reboot_state="completed", reboot_boot_id="n1-boot-1"))
    assert subjects(facts) == []
    new = after(facts).nodes["n1"]
    assert (new.step, new.outcome) == (Step.REBOOT, None)


@pytest.mark.parametrize("known", [{}, {"job_uid": "uid-of-job-n1"}], ids=["first seen", "known"])
def test_a_job_first_seen_complete_is_stored_before_it_can_be_deleted(known: dict[str, str]) -> None:
    """What is at Reboot may wait to be stored; that there was a Job may not, or it is made anew once it is gone."""
    of = _op(known, reboot_on_success=True)
    made = plan(_facts(of, job(of, complete=True), pods=_reboot_pod(of)))
    assert made.status is not None
    assert (made.status.nodes["n1"].step, made.status.nodes["n1"].job_uid) == (Step.REBOOT, "uid-of-job-n1")
    assert made.urgent is not bool(known)


def test_that_the_job_was_seen_is_stored() -> None:
    made = plan(_facts(_op(), job(_op())))
    assert made.status is not None
    assert made.status.nodes["n1"].job_uid == "uid-of-job-n1"
    assert made.urgent


@pytest.mark.parametrize("stranger", [None, Owner("NodeOp", "op", "another uid"), Owner("CronJob", "x", "y")])
@pytest.mark.parametrize(
    "end", [{}, {"complete": True}, {"failed": True}], ids=["running", "complete", "failed"]
)
def test_a_foreign_job_of_that_name_is_neither_adopted_nor_deleted(
    stranger: Owner | None, end: dict[str, Any]
) -> None:
    facts = _facts(_op(), job(_op(), owner=stranger, **end))
    new = after(facts).nodes["n1"]
    assert new.outcome is Outcome.FAILED
    assert "is not this NodeOp's" in (new.message or "")
    assert subjects(facts) == []


def test_a_complete_job_is_the_end_where_nothing_follows() -> None:
    new = _new(_op(), job(_op(), complete=True))
    assert (new.step, new.outcome, new.message) == (Step.DONE, Outcome.COMPLETED, "The command succeeded")


@pytest.mark.parametrize(
    ("spec", "step"),
    [
        ({"reboot_on_success": True}, Step.REBOOT),
        ({"postflight": {"command": ["check"]}}, Step.POSTFLIGHT),
        ({"reboot_on_success": True, "postflight": {"command": ["check"]}}, Step.REBOOT),
        ({"cordon": True}, Step.RELEASE),
    ],
)
def test_what_follows_a_complete_job(spec: dict[str, Any], step: Step) -> None:
    of = _op(**spec)
    assert _new(of, job(of, complete=True), view=ours(of), pods=_reboot_pod(of)).step is step


@pytest.mark.parametrize(
    ("facts", "pods", "says"),
    [
        pytest.param(
            {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"},
            [pod(phase="Failed", containers=(ended(7, "no such partition\nbye", "nodeop"),))],
            "Job failed: container nodeop exited with code 7: no such partition | bye; "
            "BackoffLimitExceeded: Job has reached the specified backoff limit",
            id="the container's words",
        ),
        pytest.param(
            {"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"},
            [],
            "Job failed: DeadlineExceeded: Job was active longer than specified deadline",
            id="its deadline",
        ),
        pytest.param(
            {},
            [
                pod(phase="Failed", containers=(ended(1, "first"),)),
                pod(phase="Failed", containers=(ended(2, "last"),)),
            ],
            "Job failed: container main exited with code 2: last",
            id="the last try",
        ),
        pytest.param(
            {},
            [pod(phase="Failed", containers=(ended(137, "", reason="OOMKilled"),))],
            "Job failed: container main exited with code 137 (OOMKilled)",
            id="killed",
        ),
        pytest.param({}, [], "Job failed: no reason was given", id="nothing known"),
    ],
)
def test_a_failed_job_says_why(facts: dict[str, str], pods: list[Any], says: str) -> None:
    new = _new(_op(), job(_op(), failed=True, **facts), job_pods={"n1": tuple(pods)})
    assert (new.outcome, new.message) == (Outcome.FAILED, says)


def test_words_without_end_are_cut() -> None:
    wordy = pod(phase="Failed", containers=(ended(1, "x" * 9000 + " the end"),))
    message = _new(_op(), job(_op(), failed=True), job_pods={"n1": (wordy,)}).message or ""
    assert len(message) <= 1024
    assert "the end" in message


def test_a_failed_job_cancels_the_reboot_and_deletes_its_pod() -> None:
    of = _op({"reboot_status": RebootStatus.PENDING}, reboot_on_success=True)
    facts = _facts(of, job(of, failed=True), view=ours(of, cordoned=False), pods=_reboot_pod(of))
    assert after(facts).nodes["n1"].reboot_status is RebootStatus.CANCELLED
    assert [subject.split()[0:2] for subject in subjects(facts)] == [["delete", "Pod"]]


def test_a_job_that_is_being_deleted_has_failed() -> None:
    new = _new(_op(), job(_op(), deleting=True))
    assert (new.outcome, "was deleted before it was complete" in (new.message or "")) == (
        Outcome.FAILED,
        True,
    )


def test_a_complete_job_that_is_being_deleted_is_complete() -> None:
    assert _new(_op(), job(_op(), deleting=True, complete=True)).outcome is Outcome.COMPLETED
