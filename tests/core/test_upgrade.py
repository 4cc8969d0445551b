"""A NodeOpUpgrade: the NodeOp that it makes, whose it is, and what its own status says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.names import ANNOTATION_PAUSED, ANNOTATION_PAUSED_BY
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade, Owner
from kairos_operator.api.status import NodeOpUpgradeStatus, NodePhase, Outcome, Phase, Step
from kairos_operator.core.actions import Create, PauseNodeOp, Plan
from kairos_operator.core.upgrade import UpgradeSnapshot, node_op_body, plan
from tests.core.cluster import Check
from tests.core.rollout import Rollout
from tests.core.world import UID, at, control_plane, node, op, ours, pod, record, upgrade

NAME = "kairos-upgrade"
OURS = Owner("NodeOpUpgrade", NAME, "uid-of-upgrade")
STARTED = NodeOpUpgradeStatus(phase=Phase.RUNNING, node_op_name=NAME, node_op_uid=UID)


def _node_op(**facts: Any) -> NodeOp:
    meta = {"owner": OURS, **facts.pop("meta", {})}
    return op(NAME, facts.pop("records", {"n1": record(Step.JOB)}), meta=meta, **facts)


def _plan(up: NodeOpUpgrade, told: NodeOp | None, **facts: Any) -> Plan[NodeOpUpgradeStatus]:
    return plan(UpgradeSnapshot(up, told, at(60), **facts))


def _status(up: NodeOpUpgrade, told: NodeOp | None) -> NodeOpUpgradeStatus:
    return _plan(up, told).status or up.status


def test_which_node_op_it_will_be_is_stored_before_it_is_made() -> None:
    made = _plan(upgrade(), None)
    assert made.urgent
    assert made.status is not None
    assert (made.status.phase, made.status.node_op_name) == (Phase.RUNNING, NAME)
    ((action,),) = made.chains
    assert isinstance(action, Create)


def test_a_refused_create_is_said() -> None:
    made = _plan(upgrade(), None, refusals={f"create NodeOp {NAME}": "quota"})
    assert made.status is not None
    assert made.status.message == "Cannot create the NodeOp yet: quota"


@pytest.mark.parametrize(
    "owner", [None, Owner("NodeOpUpgrade", NAME, "an earlier one"), Owner("X", "y", "z")]
)
@pytest.mark.parametrize("known", [NodeOpUpgradeStatus(), STARTED], ids=["at first", "later"])
def test_a_foreign_node_op_is_never_adopted(owner: Owner | None, known: NodeOpUpgradeStatus) -> None:
    made = _plan(upgrade(status=known), _node_op(meta={"owner": owner}))
    assert made.status is not None
    assert (made.status.phase, made.chains) == (Phase.FAILED, ())
    assert f"NodeOp default/{NAME} exists and is not controlled by this upgrade" in (
        made.status.message or ""
    )
    assert made.status.node_statuses is None


def test_nodes_in_flight_have_failed_when_the_node_op_is_deleted() -> None:
    nodes = {"a": record(Step.DONE, Outcome.COMPLETED), "b": record(Step.REBOOT), "c": record(Step.WAITING)}
    nodes["d"] = record(Step.RELEASE, Outcome.COMPLETED)
    made = _plan(upgrade(status=STARTED.model_copy(update={"node_statuses": nodes})), None)
    assert made.status is not None
    assert made.status.nodes["a"] == nodes["a"]
    assert made.status.nodes["c"] == nodes["c"]
    left = made.status.nodes["b"]
    assert (left.phase, left.outcome, left.step) == (NodePhase.FAILED, Outcome.FAILED, Step.DONE)
    assert left.message == "The NodeOp was deleted during the Reboot step"
    assert (made.status.nodes["d"].phase, made.status.nodes["d"].step) == (NodePhase.COMPLETED, Step.DONE)
    assert made.status.summary is not None
    assert (made.status.summary.running, made.status.summary.failed) == (0, 1)


def test_a_node_op_that_was_deleted_is_not_made_anew() -> None:
    made = _plan(upgrade(status=STARTED), None)
    assert made.status is not None
    assert (made.status.phase, made.chains) == (Phase.FAILED, ())
    assert made.status.message == f"NodeOp default/{NAME} was deleted before the upgrade was done"


def test_a_node_op_of_another_uid_is_not_the_one_that_was_made() -> None:
    """Restored from a backup, owner reference and all: it would run everything a second time under this upgrade."""
    made = _plan(upgrade(status=STARTED), _node_op(meta={"uid": "restored"}))
    assert made.status is not None
    assert (made.status.phase, made.status.node_op_uid) == (Phase.FAILED, UID)


def test_that_it_was_seen_is_stored_at_once() -> None:
    seen = NodeOpUpgradeStatus(phase=Phase.RUNNING, node_op_name=NAME)
    assert _plan(upgrade(status=seen), _node_op()).urgent


def test_an_upgrade_under_deletion_makes_nothing() -> None:
    assert _plan(upgrade(meta={"deleting_since": at(0)}), None).empty


def test_the_status_says_what_the_node_op_says() -> None:
    story = Rollout.of(op(NAME, meta={"owner": OURS}), node())
    story.tick()
    told = story.op
    assert told is not None
    status = _status(upgrade(), told)
    assert (status.phase, status.message, status.summary) == (
        Phase.RUNNING,
        told.status.message,
        told.status.summary,
    )
    assert status.node_statuses == told.status.node_statuses
    assert status.started_at == told.status.started_at


@pytest.mark.parametrize(
    ("told", "phase"),
    [
        (None, Phase.RUNNING),
        (Phase.PENDING, Phase.RUNNING),
        (Phase.RUNNING, Phase.RUNNING),
        (Phase.COMPLETED, Phase.COMPLETED),
        (Phase.FAILED, Phase.FAILED),
    ],
)
def test_the_phase(told: Phase | None, phase: Phase) -> None:
    of = _node_op()
    status = of.status.model_copy(update={"phase": told, "completed_at": at(30)})
    new = _status(upgrade(), replace(of, status=status))
    assert new.phase is phase
    assert not phase.final or new.completed_at == at(30)


def test_planning_again_yields_nothing() -> None:
    told = _node_op()
    up = upgrade(status=_status(upgrade(), told))
    assert _plan(up, told).empty


def test_what_only_the_nodes_did_may_wait_for_the_next_write() -> None:
    up = upgrade(status=_status(upgrade(), _node_op()))
    made = _plan(up, _node_op(records={"n1": record(Step.RELEASE, Outcome.COMPLETED)}))
    assert made.status is not None
    assert not made.urgent


def test_a_blocked_drain_shows_on_the_upgrade() -> None:
    of = op(
        NAME, {"n1": record(Step.DRAIN)}, meta={"owner": OURS}, cordon=True, drain_options={"enabled": True}
    )
    story = Rollout.of(of, node())
    story.nodes["n1"] = ours(of)
    story.pods["default/web-1"] = pod()
    story.budgets["default/web-1"] = "the budget web forbids it"
    story.settle()
    assert story.op is not None
    conditions = {one.type: one for one in _status(upgrade(), story.op).conditions or ()}
    assert "the budget web forbids it" in conditions["DrainBlocked"].message


@pytest.mark.parametrize(
    ("up", "down", "by_owner", "action"),
    [
        pytest.param(True, False, False, True, id="handed on"),
        pytest.param(True, True, True, None, id="handed on already"),
        pytest.param(True, True, False, None, id="paused by a person too"),
        pytest.param(False, True, True, False, id="handed back"),
        pytest.param(False, True, False, None, id="a person's own pause stays"),
        pytest.param(False, False, False, None, id="none"),
    ],
)
def test_the_pause_is_handed_on(up: bool, down: bool, by_owner: bool, action: bool | None) -> None:
    told = _node_op(meta={"paused": down, "paused_by_owner": by_owner})
    actions = [one for chain in _plan(upgrade(meta={"paused": up}), told).chains for one in chain]
    assert actions == ([] if action is None else [PauseNodeOp(NAME, paused=action)])


def test_an_upgrade_that_is_paused_from_the_start_makes_a_paused_node_op() -> None:
    annotations = node_op_body(upgrade(meta={"paused": True}))["metadata"]["annotations"]
    assert annotations == {ANNOTATION_PAUSED: "true", ANNOTATION_PAUSED_BY: "NodeOpUpgrade"}


def test_a_paused_canary_goes_on_when_the_pause_ends() -> None:
    up = upgrade(concurrency=1, meta={"paused": True})
    story = Rollout.of_upgrade(up, control_plane("m"), node("w"))
    story.tick(3)
    assert story.jobs == {}
    assert story.up is not None
    story.up = replace(story.up, meta=replace(story.up.meta, paused=False))
    story.checks["preflight", "w"] = Check("node is already there")
    story.run().settle()
    assert story.up.status.phase is Phase.COMPLETED
