"""A status that the Go operator wrote: the same fields without steps. Taking over must run nothing a second time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeOpStatus, NodePhase, NodeStatus, Outcome, Phase, Step
from kairos_operator.core.nodeop import plan
from tests.core.rollout import Rollout
from tests.core.world import after, node, op, snapshot


def _told(phase: str, **entries: dict[str, Any]) -> NodeOp:
    status = {"phase": phase, "nodeStatuses": entries, "lastUpdated": "2026-05-04T11:00:00Z"}
    return replace(op(concurrency=1), status=NodeOpStatus.model_validate(status))


@pytest.mark.parametrize(
    ("phase", "step", "outcome"),
    [
        ("Pending", Step.WAITING, None),
        ("Preflight", Step.WAITING, None),
        ("Running", Step.JOB, None),
        ("Completed", Step.DONE, Outcome.COMPLETED),
        ("Failed", Step.DONE, Outcome.FAILED),
    ],
)
def test_a_phase_without_a_step_stands_for_one(phase: str, step: Step, outcome: Outcome | None) -> None:
    entry = NodeStatus.model_validate({"phase": phase, "jobName": "op-n1-x7k2p"})
    assert (entry.phase, entry.step, entry.outcome) == (NodePhase(phase), step, outcome)


def test_an_entry_with_a_step_is_taken_at_its_word() -> None:
    entry = NodeStatus.model_validate({"phase": "Running", "step": "Drain"})
    assert (entry.step, entry.outcome, entry.job_uid) == (Step.DRAIN, None, None)


def test_what_is_done_is_not_done_again_and_what_was_never_listed_is_done() -> None:
    """The Go operator lists a node only once it has started it."""
    of = _told("Running", a={"phase": "Completed"}, b={"phase": "Failed", "message": "boom"})
    story = Rollout.of(of, *map(node, "abc"))
    story.run()
    assert story.created == ["Job c"]
    assert {name: one.outcome for name, one in story.status.nodes.items()} == {
        "a": Outcome.COMPLETED,
        "b": Outcome.FAILED,
        "c": Outcome.COMPLETED,
    }


def test_a_job_of_a_name_that_nobody_can_derive_is_not_run_again() -> None:
    new = after(snapshot(_told("Running", n1={"phase": "Running", "jobName": "op-n1-x7k2p"}), node())).nodes[
        "n1"
    ]
    assert new.outcome is Outcome.FAILED
    assert "is not made anew" in (new.message or "")


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_what_is_finished_stays_finished(phase: str) -> None:
    of = _told(phase, n1={"phase": phase})
    assert plan(snapshot(of, node(), node("n2"))).status is None
    assert of.status.phase is Phase(phase)
