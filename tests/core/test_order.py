"""Who goes next, how many at once, and what holds further nodes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, Phase, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.rollout import free_slots, in_order, next_in_line
from kairos_operator.core.snapshot import needs
from tests.core.cluster import Check
from tests.core.rollout import Rollout
from tests.core.world import after, at, control_plane, job, node, op, record, snapshot

MASTER = node("w-old-master", labels={"node-role.kubernetes.io/master": ""})
NODES = {one.name: one for one in (node("b"), node("a"), control_plane("z"), MASTER, control_plane("k"))}
DONE = record(Step.DONE, Outcome.COMPLETED)
BAD = record(Step.DONE, Outcome.FAILED)
WAITING = record(Step.WAITING)
A = {"pool": "a"}
CHECKED: dict[str, Any] = {"preflight": {"command": ["check"]}}


def _started(facts: dict[str, NodeStatus]) -> list[str]:
    return [name for name, one in facts.items() if one.in_flight]


def test_control_plane_nodes_come_first_then_each_group_by_name() -> None:
    assert in_order(NODES, NODES) == ["k", "w-old-master", "z", "a", "b"]


def test_a_node_that_is_not_known_counts_as_a_worker() -> None:
    assert in_order(["gone", "z", "a"], NODES) == ["z", "a", "gone"]


@pytest.mark.parametrize(
    ("concurrency", "records", "slots"),
    [
        pytest.param(0, [WAITING] * 3, 3, id="0 is all at once"),
        pytest.param(2, [WAITING] * 3, 2, id="as many as asked"),
        pytest.param(2, [record(Step.PREFLIGHT), WAITING, WAITING], 1, id="a preflight holds a slot"),
        pytest.param(1, [record(Step.CLAIM), WAITING], 0, id="waiting for a node holds a slot"),
        pytest.param(1, [record(Step.REBOOT), WAITING], 0, id="a reboot holds a slot"),
        pytest.param(1, [record(Step.POSTFLIGHT), WAITING], 0, id="a postflight holds a slot"),
        pytest.param(
            1, [record(Step.RELEASE, Outcome.COMPLETED), WAITING], 0, id="until the node is given back"
        ),
        pytest.param(1, [DONE, WAITING], 1, id="a node that is done holds none"),
        pytest.param(1, [BAD, WAITING], 1, id="a node that failed holds none"),
        pytest.param(1, [record(Step.JOB), record(Step.JOB), WAITING], 0, id="never fewer than none"),
    ],
)
def test_slots(concurrency: int, records: list[NodeStatus], slots: int) -> None:
    known = {f"n{index}": one for index, one in enumerate(records)}
    assert free_slots(op(records=known, concurrency=concurrency), known) == slots


@pytest.mark.parametrize(
    ("spec", "meta", "others", "goes_on"),
    [
        pytest.param({}, {}, [BAD], True, id="a failure stops nothing unless asked"),
        pytest.param({"stop_on_failure": True}, {}, [DONE], True, id="success goes on"),
        pytest.param({"stop_on_failure": True}, {}, [BAD], False, id="stopOnFailure stops"),
        pytest.param(
            {"stop_on_failure": True},
            {},
            [record(Step.RELEASE, Outcome.FAILED)],
            False,
            id="stopOnFailure stops before the failed node is given back",
        ),
        pytest.param({}, {"paused": True}, [DONE], False, id="a pause stops"),
        pytest.param({}, {"deleting_since": at(0)}, [DONE], False, id="a deletion stops"),
    ],
)
def test_what_holds_further_nodes_back(
    spec: dict[str, Any], meta: dict[str, Any], others: list[NodeStatus], goes_on: bool
) -> None:
    records = {"a": WAITING, **{f"x{index}": one for index, one in enumerate(others)}}
    found = next_in_line(op(records=records, meta=meta, **spec), NODES, records)
    assert found == (["a"] if goes_on else [])


def test_all_targets_are_in_the_status_at_once_and_only_the_slots_are_given() -> None:
    status = after(snapshot(op(concurrency=2), *NODES.values()))
    assert list(status.nodes) == ["k", "w-old-master", "z", "a", "b"]
    assert _started(status.nodes) == ["k", "w-old-master"]


def test_targets_are_those_that_a_live_list_shows_and_never_those_of_the_cache_alone() -> None:
    fleet = [node("a", labels=A), node("b", labels=A), node("c")]
    of = op(node_selector={"match_labels": A})
    assert list(after(snapshot(of, *fleet, listed=frozenset("ac"))).nodes) == ["a"]
    unasked = plan(snapshot(of, *fleet, listed=None))
    assert (unasked.status, unasked.recheck_after) == (None, 0.0)


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        pytest.param(op(), True, id="before the start"),
        pytest.param(op(cordon=True, meta={"finalizers": ()}), False, id="the finalizer comes first"),
        pytest.param(op(records={"a": WAITING}), False, id="once they are resolved"),
        pytest.param(op(meta={"deleting_since": at(0)}), False, id="not any more"),
    ],
)
def test_nodes_are_listed_once_when_the_targets_are_resolved(of: NodeOp, asked: bool) -> None:
    assert needs(of, NODES).listing is asked


def test_a_pause_lets_those_in_flight_finish_and_its_end_goes_on() -> None:
    story = Rollout.of(op(concurrency=1), node("a"), node("b"))
    story.settle()
    _pause(story, True)
    story.tick(5)
    assert [one.step for one in story.status.nodes.values()] == [Step.DONE, Step.WAITING]
    assert story.phase is Phase.RUNNING
    assert "paused" in (story.status.message or "")
    _pause(story, False)
    assert story.run().phase is Phase.COMPLETED


def test_paused_from_the_start_resolves_its_targets_and_starts_none() -> None:
    status = after(snapshot(op(meta={"paused": True}), node("a")))
    assert (status.phase, _started(status.nodes)) == (Phase.RUNNING, [])


def test_stop_on_failure_lets_those_in_flight_finish_before_it_fails() -> None:
    story = Rollout.of(op(concurrency=2, stop_on_failure=True, **CHECKED), *map(node, "abc"))
    story.checks["preflight", "a"] = Check(fails=True)
    story.tick()
    story.settle()
    assert (story.phase, story.status.nodes["b"].step) == (Phase.RUNNING, Step.JOB)
    story.run()
    assert story.phase is Phase.FAILED
    assert story.status.nodes["c"] == WAITING.model_copy(update={"last_updated": at(0)})
    assert "1 not started" in (story.status.message or "")


def test_a_skip_frees_its_slot_in_the_same_plan() -> None:
    story = Rollout.of(op(concurrency=1, **CHECKED), *map(node, "abc"))
    for name in "ab":
        story.checks["preflight", name] = Check("nothing to do")
    story.tick()
    made = plan(story.look())
    assert made.status is not None
    assert [one.step for one in made.status.nodes.values()] == [Step.DONE, Step.PREFLIGHT, Step.WAITING]


def test_a_node_that_fails_as_it_starts_frees_its_slot_in_the_same_plan() -> None:
    of = op(concurrency=1)
    facts = snapshot(of, node("a"), node("b"), jobs={"a": job(of, "a", owner=None)})
    assert [one.step for one in after(facts).nodes.values()] == [Step.DONE, Step.JOB]


def test_nodes_that_are_gone_take_no_slot() -> None:
    records = dict.fromkeys("abc", WAITING)
    facts = snapshot(op(records=records, concurrency=1), node("c"), gone=frozenset("ab"))
    status = after(facts)
    assert [one.outcome for one in status.nodes.values()] == [Outcome.SKIPPED, Outcome.SKIPPED, None]
    assert status.nodes["a"].message == "Skipped: node no longer exists"
    assert status.nodes["c"].step is Step.JOB


def test_a_node_missing_from_the_cache_is_looked_for_before_anything_is_concluded() -> None:
    facts = snapshot(op(records={"a": WAITING}), node("b"))
    assert plan(facts).recheck_after == 0.0
    assert after(facts).nodes["a"].step is Step.WAITING


def test_a_node_that_joins_later_is_not_touched() -> None:
    story = Rollout.of(op(), node("a"))
    story.settle()
    story.nodes["b"] = node("b")
    assert story.run().status.nodes.keys() == {"a"}


def _pause(story: Rollout, paused: bool) -> None:
    assert story.op is not None
    story.op = replace(story.op, meta=replace(story.op.meta, paused=paused))
