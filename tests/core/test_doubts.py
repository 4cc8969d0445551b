"""What is not concluded before a node was read live: by an old view nothing is begun, done, or given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.names import Role
from kairos_operator.api.status import NodeStatus, Outcome, RebootStatus, Step
from kairos_operator.core.actions import Doubts
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.world import (
    after,
    control_plane,
    ended,
    job,
    node,
    op,
    ours,
    record,
    role_pod,
    snapshot,
    subjects,
)

CHECK = {"command": ["check"]}
NOBODY: frozenset[str] = frozenset()
REBOOTING = {"reboot_on_success": True, "reboot_timeout_seconds": 60}


def _at(step: Step, *, children: Any = (), away: bool = False, learned: Any = None, **spec: Any) -> Snapshot:
    """n1 at a step, an hour after it began, with the children that `children` makes of the operation."""
    of = op(records={"n1": record(step, **(learned or {}))}, **spec)
    facts: dict[str, Any] = {"jobs": {}, "pods": {}}
    for child in children:
        made = child(of)
        if made.name == job(of).name:
            facts["jobs"]["n1"] = made
        else:
            facts["pods"][ChildKey(next(r for r in Role if f"kairos.io/{r.value}" in made.labels), "n1")] = (
                made
            )
    there = ours(of, node(ready=not away), cordoned=False)
    return snapshot(of, there, seconds=3600, **facts)


def _outcome(facts: Snapshot) -> NodeStatus:
    found = plan(facts).status
    return (found or facts.op.status).nodes["n1"]


PASSED = _at(
    Step.PREFLIGHT, preflight=CHECK, children=[lambda of: role_pod(of, Role.PREFLIGHT, phase="Succeeded")]
)
SKIPPED = _at(
    Step.PREFLIGHT,
    preflight=CHECK,
    children=[lambda of: role_pod(of, Role.PREFLIGHT, phase="Succeeded", containers=(ended(0, "is there"),))],
)
WORKED = _at(Step.JOB, children=[lambda of: job(of, complete=True)])
TO_VERIFY = _at(Step.JOB, postflight=CHECK, children=[lambda of: job(of, complete=True)])
VERIFIED = _at(
    Step.POSTFLIGHT, postflight=CHECK, children=[lambda of: role_pod(of, Role.POSTFLIGHT, phase="Succeeded")]
)
TO_REBOOT = _at(Step.JOB, reboot_on_success=True, children=[lambda of: job(of, complete=True)])
BROKEN = _at(Step.JOB, children=[lambda of: job(of, failed=True)])


@pytest.mark.parametrize(
    ("facts", "goes_on_to"),
    [
        pytest.param(PASSED, Step.JOB, id="to its Job"),
        pytest.param(SKIPPED, Step.DONE, id="skipped"),
        pytest.param(WORKED, Step.RELEASE, id="done"),
        pytest.param(TO_VERIFY, Step.POSTFLIGHT, id="to its postflight"),
        pytest.param(VERIFIED, Step.RELEASE, id="verified"),
    ],
)
def test_a_node_is_begun_on_and_counts_as_done_only_by_a_recent_view(
    facts: Snapshot, goes_on_to: Step
) -> None:
    doubtful = replace(facts, recent=NOBODY)
    found = plan(doubtful)
    assert (found.doubts, found.recheck_after) == (Doubts(behind=frozenset({"n1"})), 0.0)
    assert _outcome(doubtful).step is facts.op.status.nodes["n1"].step
    assert subjects(doubtful) == []
    for sure in (frozenset({"n1"}), None):
        certain = replace(facts, recent=sure)
        assert plan(certain).doubts == Doubts()
        assert _outcome(certain).step in (goes_on_to, Step.DONE)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [pytest.param(TO_REBOOT, None, id="a reboot"), pytest.param(BROKEN, Outcome.FAILED, id="a failure")],
)
def test_what_stays_true_whatever_the_node_is_now_waits_for_nothing(
    facts: Snapshot, outcome: Outcome | None
) -> None:
    doubtful = replace(facts, recent=NOBODY, asked=NOBODY)
    assert plan(doubtful).doubts == Doubts()
    assert _outcome(doubtful).outcome is outcome
    assert _outcome(doubtful).step is not Step.JOB


PENDING = {"reboot_status": RebootStatus.PENDING}
OVERDUE = [
    pytest.param(_at(Step.PREFLIGHT, preflight=CHECK), "Preflight failed: no verdict", id="a preflight"),
    pytest.param(_at(Step.POSTFLIGHT, postflight=CHECK), "Postflight failed: no verdict", id="a postflight"),
    pytest.param(
        _at(Step.JOB, away=True, children=[job], **REBOOTING), "has not been Ready for", id="a Job's node"
    ),
    pytest.param(_at(Step.JOB, away=True, **REBOOTING), "has not been Ready for", id="a node without a Job"),
    pytest.param(_at(Step.REBOOT, learned=PENDING, **REBOOTING), "Reboot failed: not back", id="a reboot"),
]


@pytest.mark.parametrize(("facts", "says"), OVERDUE)
def test_nobody_is_given_up_before_a_last_look(facts: Snapshot, says: str) -> None:
    # Also where the watches speak: one that is alive may be far behind.
    doubtful = replace(facts, asked=NOBODY, recent=None)
    found = plan(doubtful)
    assert (found.doubts, found.recheck_after) == (Doubts(overdue=frozenset({"n1"})), 0.0)
    assert _outcome(doubtful).outcome is None
    certain = replace(facts, asked=frozenset({"n1"}), recent=NOBODY)
    assert plan(certain).doubts == Doubts()
    assert _outcome(certain).outcome is Outcome.FAILED
    assert says in (_outcome(certain).message or "")


def test_nobody_is_started_by_an_old_view_nor_before_whose_turn_it_is() -> None:
    records = {name: record(Step.WAITING) for name in ("cp", "n1", "n2")}
    facts = snapshot(op(records=records, concurrency=2), control_plane("cp"), node("n1"), node("n2"))
    doubtful = replace(facts, recent=frozenset({"n1", "n2"}))
    found = plan(doubtful)
    assert (found.doubts.behind, found.recheck_after) == ({"cp", "n1"}, 0.0)
    assert not any(one.in_flight for one in after(doubtful).nodes.values())
    started = after(replace(facts, recent=frozenset({"cp", "n1"})))
    assert [name for name, one in started.nodes.items() if one.in_flight] == ["cp", "n1"]


def test_a_node_that_a_live_read_did_not_find_is_no_doubt() -> None:
    facts = snapshot(op(records={"n1": record(Step.WAITING)}), gone=frozenset({"n1"}), recent=NOBODY)
    assert _outcome(facts).outcome is Outcome.SKIPPED
    facts = replace(
        _at(Step.JOB, children=[job]), nodes={}, gone=frozenset({"n1"}), recent=NOBODY, asked=NOBODY
    )
    assert _outcome(facts).outcome is Outcome.FAILED
