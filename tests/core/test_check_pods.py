"""Check pods whose verdict is stored go together where many nodes are in flight, and soon in any case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kairos_operator.api.names import Role
from kairos_operator.api.status import Outcome, Step
from kairos_operator.core.actions import DeleteChecks
from kairos_operator.core.cleanup import CHECKS_AT_ONCE, COMPANY_SECONDS, running
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.world import node, op, record, role_pod, snapshot

CHECKS: dict[str, Any] = {"preflight": {"command": ["check"]}, "postflight": {"command": ["check"]}}


def _checked(in_flight: int, due: int) -> Snapshot:
    """So many nodes in flight that are past their preflight, of which so many have their check pod still."""
    names = [f"n{number}" for number in range(in_flight)]
    of = op(records={name: record(Step.JOB, name=name) for name in names}, **CHECKS)
    pods = {
        ChildKey(Role.PREFLIGHT, name): role_pod(of, Role.PREFLIGHT, on=name, phase="Succeeded")
        for name in names[:due]
    }
    return snapshot(of, *map(node, names), pods=pods)


@pytest.mark.parametrize(
    ("in_flight", "due", "asked"),
    [
        pytest.param(1, 1, "delete Pod", id="one at a time: at once, by its UID"),
        pytest.param(3, 1, "delete Pod", id="three at a time: at once"),
        pytest.param(4, 1, "", id="four at a time: the next one comes soon"),
        pytest.param(4, 2, "delete preflight pods", id="four at a time: two in one request"),
        pytest.param(40, 19, "", id="many: not yet half as many as are in flight"),
        pytest.param(40, 20, "delete preflight pods", id="many: half as many"),
        pytest.param(400, 60, "delete preflight pods", id="a request names no more than fifty"),
    ],
)
def test_check_pods_go_together_where_many_nodes_are_in_flight(in_flight: int, due: int, asked: str) -> None:
    facts = _checked(in_flight, due)
    found = running(facts, facts.op.status.nodes)
    actions = [action for chain in found.chains for action in chain]
    assert [action.subject.startswith(asked) for action in actions] == [True] * bool(asked)
    assert found.recheck_after == COMPANY_SECONDS
    for action in actions:
        if isinstance(action, DeleteChecks):
            assert len(action.nodes) == min(due, CHECKS_AT_ONCE)
            assert set(action.pods) <= {(key.node, pod.name, pod.uid) for key, pod in facts.pods.items()}


@pytest.mark.parametrize(("seconds", "asked"), [(COMPANY_SECONDS - 0.1, 0), (COMPANY_SECONDS, 1)])
def test_check_pods_wait_a_few_seconds_for_others(seconds: float, asked: int) -> None:
    facts = _checked(40, 2)
    later = replace(facts, now=facts.now + timedelta(seconds=seconds))
    assert len(running(later, facts.op.status.nodes).chains) == asked


def test_the_last_check_pods_wait_for_no_others() -> None:
    of = op(
        records={name: record(Step.DONE, Outcome.COMPLETED, name=name) for name in ("n1", "n2")}, **CHECKS
    )
    over = {ChildKey(Role.POSTFLIGHT, "n2"): role_pod(of, Role.POSTFLIGHT, on="n2", phase="Succeeded")}
    facts = snapshot(of, node(), node("n2"), pods=over)
    assert len(running(facts, of.status.nodes).chains) == 1
    assert running(snapshot(of, node(), node("n2")), of.status.nodes).recheck_after is None
