"""The one thing in the way, for each thing that can be, and which of several is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kairos_operator.api.cluster import ContainerView, JobView
from kairos_operator.api.objects import Owner
from kairos_operator.api.resources import NODE_OPS
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.finding import Facts, OperatorLease
from kairos_operator.cli.why import why
from tests.cli.values import NOW, ago, done, flying, node, operation, pod, waiting

PAUSED = {"annotations": {"operator.kairos.io/paused": "true"}}
LEASE = OperatorLease("kairos-operator-system", "operator-1_x", NOW - timedelta(seconds=3))
BLOCKED = {
    "type": "DrainBlocked",
    "status": "True",
    "reason": "EvictionRefused",
    "message": "shop/web-1 on w-1: the budget shop/web forbids it",
    "lastTransitionTime": ago(3),
}


def facts(records: dict[str, Any] | None = None, phase: str | None = "Running", **more: Any) -> Facts:
    """The facts about an upgrade whose operator is at work."""
    known = {name: more.pop(name) for name in ("leases", "nodes", "pods", "jobs", "carrier") if name in more}
    return replace(Facts(operation(records, phase, **more), NOW, (LEASE,)), **known)


def stuck(reason: str) -> Any:
    """A pod of the operation on w-1 with a container that waits."""
    return pod("op-w-1", "w-1", namespace="default", phase="Pending",
               containers=(ContainerView("nodeop", waiting=reason),))  # fmt: skip


JOB = JobView("op-w-1-x", "default", "j", "1", None, attempts=2)
FAILED = {"a": done(9, outcome="Failed", message="Job failed: disk full"), "b": waiting()}
STALE = replace(LEASE, renewed_at=NOW - timedelta(minutes=10))
HELD = node("w-1", claimed_by="default/other@u-9")
AWAY = node("w-1", ready=False, ready_since=NOW - timedelta(minutes=10), ready_reason="NodeStatusUnknown")
ON_W1 = {"w-1": flying("Job", message="running", jobName="op-w-1-x")}

CASES: list[tuple[str, Facts, str]] = [
    (
        "Completed",
        facts({"a": done(9)}, "Completed", status={"message": "All 1 nodes are done"}),
        "All 1 nodes are done",
    ),
    (
        "NodeFailed",
        facts(FAILED, "Failed", stopOnFailure=True),
        "a: Job failed: disk full; because of stopOnFailure, 1 node not",
    ),
    (
        "Failed",
        facts({}, "Failed", status={"message": "NodeOp default/op exists"}),
        "NodeOp default/op exists",
    ),
    ("NoOperator", facts(leases=(), status={"lastUpdated": ago(500)}), "no Lease"),
    ("Moving", facts(ON_W1, leases=(), nodes={"w-1": node("w-1")}), "moving"),
    ("NoLeader", facts(leases=(replace(LEASE, holder=""),)), "nobody holds"),
    ("OperatorAway", facts(ON_W1, leases=(STALE,)), "10 min ago"),
    ("Deleting", facts(ON_W1, metadata={"deletionTimestamp": ago(30)}), "30 s ago"),
    (
        "DrainBlocked",
        facts({"w-1": flying("Drain")}, status={"conditions": [BLOCKED]}),
        "the budget shop/web",
    ),
    ("ImagePull", facts(ON_W1, pods=(stuck("ImagePullBackOff: no such tag"),)), "no such tag"),
    (
        "PodWaiting",
        facts(ON_W1, pods=(stuck("CreateContainerConfigError: secret"),)),
        "CreateContainerConfigError",
    ),
    ("NodeHeld", facts({"w-1": flying("Claim")}, nodes={"w-1": HELD}), "NodeOp default/other"),
    ("NodeNotReady", facts(ON_W1, nodes={"w-1": AWAY}), "w-1 is not Ready for 10 min (NodeStatusUnknown)"),
    ("RebootSlow", facts({"w-1": flying("Reboot")}, nodes={"w-1": AWAY}), "since its reboot"),
    ("JobRetried", facts(ON_W1, jobs=(JOB,), nodes={"w-1": node("w-1")}), "failed 2 times"),
    ("Paused", facts({"a": waiting()}, metadata=PAUSED), "NodeOpUpgrade op is paused"),
    (
        "Paused",
        facts({"a": waiting()}, carrier=operation(resource=NODE_OPS, metadata=PAUSED)),
        "NodeOp op is paused",
    ),
    ("Stopping", facts({**FAILED, "c": flying("Job")}, stopOnFailure=True), "a failed"),
    ("NotStarted", facts(phase=None), "created 10 min ago"),
    ("Starting", facts(phase=None, metadata={"creationTimestamp": ago(2)}), "about to start"),
    ("Moving", facts(ON_W1, nodes={"w-1": node("w-1")}), "w-1 is in step Job for 10s: running"),
]


@pytest.mark.parametrize(
    ("reason", "known", "text"), CASES, ids=[f"{case[0]}-{at}" for at, case in enumerate(CASES)]
)
def test_the_reason_is_named(reason: str, known: Facts, text: str) -> None:
    finding = why(known)
    assert finding.reason == reason
    assert text in finding.sentence


@pytest.mark.parametrize(
    ("reason", "known", "text"), CASES, ids=[f"{case[0]}-{at}" for at, case in enumerate(CASES)]
)
def test_whoever_waits_is_told_what_to_do(reason: str, known: Facts, text: str) -> None:
    moving = reason in ("Completed", "Moving", "Starting", "Failed", "Deleting")
    assert bool(why(known).remedy) is not moving
    codes = {"Completed": Exit.DONE, "NodeFailed": Exit.FAILED, "Failed": Exit.FAILED}
    assert why(known).code is codes.get(reason, Exit.UNFINISHED)


def test_a_short_absence_in_a_reboot_is_no_obstacle() -> None:
    soon = replace(AWAY, ready_since=NOW - timedelta(seconds=40))
    assert why(facts({"w-1": flying("Reboot")}, nodes={"w-1": soon})).reason == "Moving"


def test_a_node_that_the_upgrades_own_node_op_holds_is_not_held() -> None:
    own = node("w-1", claimed_by="default/op@u-2")
    known = facts({"w-1": flying("Claim")}, nodes={"w-1": own}, status={"nodeOpUID": "u-2"})
    assert why(known).reason == "Moving"


def test_an_operator_that_is_away_explains_all_the_rest() -> None:
    known = facts(ON_W1, leases=(STALE,), pods=(stuck("ImagePullBackOff: x"),), metadata=PAUSED)
    assert why(known).reason == "OperatorAway"


def test_of_several_leases_the_one_in_use_counts() -> None:
    assert why(facts(ON_W1, leases=(STALE, LEASE), nodes={"w-1": node("w-1")})).reason == "Moving"


def test_a_lease_that_may_not_be_read_is_said() -> None:
    known = facts(phase=None, leases=(OperatorLease(unseen="you may not read its Lease"),))
    assert "you may not read its Lease" in why(known).sentence


def test_the_last_words_of_a_retried_command_are_told() -> None:
    ended = pod("p", "w-1", namespace="default", phase="Failed",
                containers=(ContainerView("nodeop", exit_code=1, message="disk full"),))  # fmt: skip
    ended = replace(ended, owner=Owner("Job", "op-w-1-x", "j"))
    known = facts(ON_W1, jobs=(JOB,), pods=(ended,), nodes={"w-1": node("w-1")})
    assert why(known).sentence.endswith("the last: container nodeop exited with code 1: disk full")
