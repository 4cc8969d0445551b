"""A node with calls under way is left as it is: nothing is read for it, nothing decided; the others go on."""

from __future__ import annotations

from dataclasses import replace

from kairos_operator.api.conditions import ConditionType
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Outcome, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, needs
from tests.core.world import (
    DRAIN,
    after,
    at,
    ended,
    node,
    op,
    ours,
    pod,
    record,
    role_pod,
    snapshot,
    subjects,
)

PREFLIGHT = {"preflight": {"command": ["check"]}}
N1 = frozenset({"n1"})


def _checking(*names: str) -> NodeOp:
    records = {name: record(Step.PREFLIGHT, name=name) for name in names}
    return op(records=records, cordon=True, **PREFLIGHT)


def test_a_busy_node_stays_as_it_is_and_others_go_on() -> None:
    of = _checking("n1", "n2")
    passed = (ended(0, name="preflight"),)
    pods = {
        ChildKey(Role.PREFLIGHT, name): role_pod(
            of, Role.PREFLIGHT, name, phase="Succeeded", containers=passed
        )
        for name in ("n1", "n2")
    }
    status = after(snapshot(of, node("n1"), node("n2"), pods=pods, busy=N1))
    assert status.nodes["n1"] is of.status.nodes["n1"]
    assert status.nodes["n2"].step is Step.CLAIM


def test_nothing_is_read_for_a_busy_node() -> None:
    of, nodes = _checking("n1", "n2"), {name: node(name) for name in ("n1", "n2")}
    found = needs(of, nodes, busy=N1)
    assert found.children == (ChildKey(Role.PREFLIGHT, "n2"),)
    assert found.nodes == {"n2"}


def test_a_busy_node_keeps_its_slot() -> None:
    records = {"n1": record(Step.PREFLIGHT), "n2": record(Step.WAITING, name="n2")}
    of = op(records=records, concurrency=1, **PREFLIGHT)
    facts = snapshot(of, node("n1"), node("n2"), busy=N1)
    assert after(facts).nodes["n2"].step is Step.WAITING
    assert subjects(facts) == []


def test_a_deletion_waits_for_what_is_under_way() -> None:
    of = op(records={"n1": record(Step.CLAIM)}, meta={"deleting_since": at(0)}, cordon=True)
    free = {"released": N1}  # read live, but the claim may arrive yet
    made = plan(snapshot(of, node("n1"), busy=N1, **free))
    assert (made.chains, made.recheck_after) == ((), 5.0)
    assert subjects(snapshot(of, node("n1"), **free)) == ["set the finalizer"]


def test_a_drain_that_is_held_up_does_not_flicker_while_an_eviction_is_tried_again() -> None:
    of = op(records={"n1": record(Step.DRAIN)}, **DRAIN)
    refused = {"evict uid-of-web-1": "the budget web forbids it"}
    told = after(snapshot(of, ours(of), node_pods={"n1": (pod(),)}, refusals=refused))
    assert _blocked(told) == ["default/web-1 on n1: the budget web forbids it"]
    stored = replace(of, status=told)
    assert plan(snapshot(stored, ours(of), busy=N1, refusals=refused)).status is None
    assert _blocked(after(snapshot(stored, ours(of), node_pods={"n1": ()}))) == []


def test_what_a_done_node_left_is_taken_away_though_the_node_is_busy() -> None:
    done: NodeStatus = record(Step.DONE, Outcome.SKIPPED)
    of = op(records={"n1": done, "n2": record(Step.WAITING, name="n2")}, concurrency=1, **PREFLIGHT)
    left = role_pod(of, Role.PREFLIGHT, phase="Succeeded")
    facts = snapshot(of, node("n1"), node("n2"), pods={ChildKey(Role.PREFLIGHT, "n1"): left}, busy=N1)
    assert f"delete Pod {left.name}" in subjects(facts)


def _blocked(status: NodeOpStatus) -> list[str]:
    return [one.message for one in status.conditions or () if one.type == ConditionType.DRAIN_BLOCKED]
