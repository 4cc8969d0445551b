"""The status of an operation: its phase, counts, sentence and conditions, and when a write is worth it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos_operator.api.conditions import Condition, carried_over
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Outcome, Phase, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.status import phase, sentence, settled, summary
from kairos_operator.core.status import urgent as is_urgent
from tests.core.rollout import Rollout
from tests.core.world import after, at, job, node, op, record, snapshot

RECORDS = st.one_of(
    st.sampled_from(Step).filter(lambda step: step not in (Step.RELEASE, Step.DONE)).map(record),
    st.builds(record, st.sampled_from([Step.RELEASE, Step.DONE]), st.sampled_from(Outcome)),
)
ALL = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), RECORDS, max_size=9)


@given(ALL, st.booleans())
def test_the_summary_adds_up_and_the_phase_tells_the_truth(
    records: dict[str, NodeStatus], stopped: bool
) -> None:
    counts = summary(records)
    parts = counts.pending + counts.running + counts.completed + counts.skipped + counts.failed
    assert parts == counts.total == len(records)
    found = phase(counts, stopped=stopped)
    done = [one.outcome for one in records.values() if one.step is Step.DONE]
    if found is Phase.FAILED:
        assert counts.running == 0
        assert Outcome.FAILED in done
    if found is Phase.COMPLETED and not stopped:
        assert len(done) == len(records)
        assert Outcome.FAILED not in done


def test_never_completed_between_batches() -> None:
    story = Rollout.of(op(concurrency=1), *map(node, "abcd"))
    seen: list[Phase | None] = []
    story.before_apply = lambda made: seen.append(made.status.phase if made.status else None)
    story.run()
    told = [one for one in seen if one is not None]
    assert told.index(Phase.COMPLETED) == len(told) - 1
    assert set(told) == {Phase.RUNNING, Phase.COMPLETED}


def test_not_failed_while_something_is_in_flight() -> None:
    records = {"a": record(Step.DONE, Outcome.FAILED), "b": record(Step.RELEASE, Outcome.FAILED)}
    assert phase(summary(records), stopped=True) is Phase.RUNNING


def test_a_selection_of_nothing_completes_and_says_so() -> None:
    of = op(node_selector={"matchLabels": {"no": "such"}})
    made = plan(snapshot(of, node()))
    assert made.status is not None
    assert (made.status.phase, made.status.nodes) == (Phase.COMPLETED, {})
    assert made.status.message == "No node matches the nodeSelector; there was nothing to do"
    assert next((note.reason, note.type) for note in made.notes) == ("NothingSelected", "Warning")


@pytest.mark.parametrize(
    ("records", "paused", "text"),
    [
        ({"a": record(Step.JOB), "b": record(Step.WAITING)}, False, "0 of 2 nodes are done, 1 in flight"),
        (
            {"a": record(Step.DONE, Outcome.SKIPPED), "b": record(Step.WAITING)},
            True,
            "1 of 2 nodes are done (1 skipped), 0 in flight; paused, no further node is started",
        ),
        (
            {"a": record(Step.DONE, Outcome.FAILED), "b": record(Step.JOB)},
            False,
            "0 of 2 nodes are done, 1 in flight; failed: a",
        ),
        (
            {"a": record(Step.DONE, Outcome.COMPLETED), "b": record(Step.DONE, Outcome.SKIPPED)},
            False,
            "All 2 nodes are done (1 skipped)",
        ),
        ({"a": record(Step.DONE, Outcome.COMPLETED)}, False, "The node is done"),
        ({"a": record(Step.DONE, Outcome.SKIPPED)}, False, "The node is done (1 skipped)"),
        (
            {name: record(Step.DONE, Outcome.FAILED) for name in "abcdefg"},
            False,
            "0 of 7 nodes are done; failed: a, b, c, d, e and 2 more",
        ),
    ],
)
def test_the_operation_in_one_sentence(records: dict[str, NodeStatus], paused: bool, text: str) -> None:
    counts = summary(records)
    assert sentence(counts, phase(counts, stopped=False), records, paused=paused) == text


@pytest.mark.parametrize(
    ("step", "outcome", "true"),
    [
        (Step.JOB, None, {"Reconciling"}),
        (Step.DONE, Outcome.COMPLETED, {"Complete"}),
        (Step.DONE, Outcome.FAILED, {"Failed", "Stalled"}),
    ],
)
def test_the_conditions_are_what_kubectl_wait_and_kstatus_read(
    step: Step, outcome: Outcome | None, true: set[str]
) -> None:
    status = after(snapshot(op(records={"n1": record(step, outcome)}), node()))
    found = {one.type: one for one in status.conditions or ()}
    assert set(found) == {"Reconciling", "Stalled", "Complete", "Failed"}
    assert {one.type for one in found.values() if one.status == "True"} == true
    assert all(one.reason and one.observed_generation == 1 for one in found.values())
    assert status.observed_generation == 1


@pytest.mark.parametrize(
    ("step", "outcome", "shown"), [(Step.JOB, None, True), (Step.DONE, Outcome.COMPLETED, False)]
)
def test_a_pause_is_a_condition_while_there_is_something_to_hold(
    step: Step, outcome: Outcome | None, shown: bool
) -> None:
    of = op(records={"n1": record(step, outcome)}, meta={"paused": True})
    conditions = after(snapshot(of, node())).conditions or ()
    assert ("Paused" in {one.type for one in conditions}) is shown


def _condition(kind: str, status: Any, when: float) -> Condition:
    return Condition(type=kind, status=status, reason="R", last_transition_time=at(when))


def test_a_conditions_time_changes_only_with_its_status() -> None:
    stored = [_condition("Failed", "False", 0), _condition("Complete", "False", 0)]
    wanted = [
        _condition("Failed", "True", 9),
        _condition("Complete", "False", 9),
        _condition("Paused", "True", 9),
    ]
    kept = {one.type: one.last_transition_time for one in carried_over(wanted, stored)}
    assert kept == {"Failed": at(9), "Complete": at(0), "Paused": at(9)}


# When a write is worth it


def test_time_alone_writes_nothing() -> None:
    of = op(records={"n1": record(Step.JOB, job_uid="uid-of-job-n1")})
    first = after(snapshot(of, node(), jobs={"n1": job(of)}))
    again = op(records=first.nodes)
    again = type(again)(again.meta, again.spec, NodeOpStatus.model_validate(first.render()))
    assert plan(snapshot(again, node(), seconds=999, jobs={"n1": job(of)})).status is None


def test_only_the_node_that_changed_has_a_new_time() -> None:
    story = Rollout.of(op(), node("a"), node("b"))
    story.tick()
    running = next(one for one in story.jobs.values() if one.node == "b")
    story.jobs[running.name] = replace(running, complete=False)
    story.settle()
    assert {name: one.last_updated for name, one in story.status.nodes.items()} == {"a": at(10), "b": at(0)}


@pytest.mark.parametrize(
    ("change", "urgent"),
    [
        ({"message": "another"}, False),
        ({"step": Step.REBOOT}, False),
        ({"step": Step.POSTFLIGHT}, True),
        ({"outcome": Outcome.FAILED}, True),
        ({"job_uid": "seen"}, True),
        ({"keep_cordon": True}, True),
        ({"rebooted_from": "boot"}, False),
    ],
)
def test_what_must_be_stored_before_anything_follows(change: dict[str, Any], urgent: bool) -> None:
    one = record(Step.JOB)
    old = NodeOpStatus(phase=Phase.RUNNING, node_statuses={"n1": one})
    new = NodeOpStatus(phase=Phase.RUNNING, node_statuses={"n1": one.model_copy(update=change)})
    assert is_urgent(old, new) is urgent


def test_a_new_phase_is_urgent() -> None:
    assert plan(snapshot(op(), node())).urgent


def test_completed_at_is_the_first_time_that_it_was_final() -> None:
    of = op()
    changes = {"phase": Phase.COMPLETED, "message": "Done"}
    first = settled(of.meta, of.status, at(5), [], changes)
    assert first is not None
    assert first.completed_at == at(5)
    assert settled(of.meta, first, at(9), [], changes) is None
