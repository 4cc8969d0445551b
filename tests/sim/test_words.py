"""What the judge says of a failure's words, of a pause and of reboots, where no planted bug shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import pytest

from kairos_operator.api.resources import Resource
from tests.sim.cluster import START, Cluster, Object
from tests.sim.ledger import Ledger, Operation
from tests.sim.reasons import untrue
from tests.sim.sights import Sights
from tests.sim.truth import OLDEST_ANSWER, Broken, Truth


@pytest.mark.parametrize(
    ("message", "excuse"),
    [
        ("Job failed: container nodeop exited with code 1: boom; BackoffLimitExceeded", "the command failed"),
        ("Job failed: BackoffLimitExceeded", "the command hangs"),
        ("Job op-n1-abcde is gone before its end was seen, and is not made anew", "its Job was deleted"),
        ("Preflight failed: no verdict after 45 s; the node is not Ready: X", "cut off"),
        (
            "Postflight failed: container postflight exited with code 255 (NodeRebooted)",
            "down: power failure",
        ),
        ("Postflight failed: the postflight says no", "the postflight failed"),
        ("Reboot failed: not back after 2 min: ... bootID did not change", "the node stays up"),
        ("The node has not been Ready for 2 min while the Job was due", "down: never to return"),
        ("The node was deleted during its Job step", "its Node was deleted"),
    ],
)
def test_a_failure_is_true_only_by_what_it_speaks_of(message: str, excuse: str) -> None:
    assert not untrue(message, ["uncordoned", excuse])
    assert untrue(message, ["a pod was evicted", "uncordoned"])
    assert untrue(message, [])


def test_what_no_rule_speaks_of_is_left_to_the_other_checks() -> None:
    assert not untrue("Drain failed: not done after 5 min; default/web-1 cannot be evicted", [])


class _Clock:
    now = 0.0


def _upgrade(**annotations: str) -> Object:
    return {"metadata": {"uid": "up", "annotations": annotations}}


def test_an_upgrade_is_held_from_its_first_pause_on_until_it_is_resumed() -> None:
    clock, paused = _Clock(), _upgrade(**{"operator.kairos.io/paused": "true"})
    sights = Sights(cast("Cluster", clock))
    owned: Object = {"metadata": {"ownerReferences": [{"uid": "up", "controller": True}]}}
    sights.upgrade_seen(paused)
    clock.now = OLDEST_ANSWER
    sights.upgrade_seen(paused)
    assert not sights.held_long_ago(owned)
    clock.now += 1
    assert sights.held_long_ago(owned)
    assert not sights.held_long_ago({"metadata": {}})
    sights.upgrade_seen(_upgrade())
    assert not sights.held_long_ago(owned)


def test_a_node_is_rebooted_once_for_each_success() -> None:
    truth = Truth(jobs={"job": ("op", "n0")})
    of_job: Object = {"metadata": {"ownerReferences": [{"uid": "job", "controller": True}]}}
    of_op: Object = {"metadata": {"ownerReferences": [{"uid": "op", "controller": True}]}}
    with pytest.raises(Broken, match="without the success"):
        truth.rebooted(of_op, "n0", "job")
    for _ in range(2):  # the second time after a person took away the Job's pod before its end was recorded
        truth.command_succeeded(of_job, "n0")
        truth.rebooted(of_op, "n0", "job")
    with pytest.raises(Broken, match="has not succeeded since"):
        truth.rebooted(of_op, "n0", "job")


@pytest.mark.parametrize("there", [False, True])
def test_a_job_made_anew_wants_its_own_reboot_unless_it_was_there_before_the_last(*, there: bool) -> None:
    truth, place = Truth(jobs={"first": ("op", "n0")}), ("op", "n0")
    of = {
        uid: {"metadata": {"ownerReferences": [{"uid": uid, "controller": True}]}}
        for uid in ("first", "second")
    }
    truth.command_succeeded(of["first"], "n0")
    truth.deleted_jobs.add("first")
    if there:
        truth.jobs["second"] = place
    truth.booted("n0")
    truth.jobs["second"] = place
    truth.command_succeeded(of["second"], "n0")
    assert (place in truth.came_back) is there


@dataclass
class _Nodes:
    there: Object | None

    def find(self, _resource: Resource, _name: str) -> Object | None:
        return self.there

    def clock(self) -> datetime:
        return START


@pytest.mark.parametrize(
    ("there", "age", "lost"),
    [
        (None, 0.0, True),
        ("anew", OLDEST_ANSWER, True),
        ("anew", OLDEST_ANSWER + 1, False),  # what begins on it now was asked for when it had long been known
        ("started", 0.0, False),
        ("started", OLDEST_ANSWER + 1, False),
    ],
)
def test_a_node_is_lost_once_the_one_that_was_started_is_gone(
    there: str | None, age: float, *, lost: bool
) -> None:
    records = {"n0": {"step": "Job", "nodeUID": "started"}}
    op = Operation({"metadata": {"uid": "op"}, "status": {"nodeStatuses": records}})
    op.note_steps({}, 0.0)
    records["n0"] = {"step": "Done", "outcome": "Failed"}  # a verdict holds no UID any more
    made = (START - timedelta(seconds=age)).isoformat()
    node = None if there is None else {"metadata": {"uid": there, "creationTimestamp": made}}
    assert Ledger(cast("Cluster", _Nodes(node)), Truth()).lost(op, "n0") is lost
