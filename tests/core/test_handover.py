"""The replica that acts gives way before the reboot of its own node, once, and only to one that can go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.objects import NodeOp, Owner
from kairos_operator.api.replica import ReplicaView, parse_replica
from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.handover import heir, reboot_due
from tests.core.world import at, node, op, record

OWNER = Owner("ReplicaSet", "operator", "uid-of-set")
OWN = ReplicaView("op-1", "uid-1", "n1", {"app": "operator"}, OWNER, ready=True)
OTHER = ReplicaView("op-2", "uid-2", "n2", {"app": "operator"}, OWNER, ready=True)


def rebooting(records: dict[str, NodeStatus], **more: Any) -> NodeOp:
    """An operation that reboots its nodes."""
    return op(records=records, **{"reboot_on_success": True, **more})


CLAIM = str(op().meta.claim)


@pytest.mark.parametrize(
    ("step", "facts", "due"),
    [
        pytest.param(Step.WAITING, {}, False, id="it may never come to it"),
        pytest.param(Step.PREFLIGHT, {}, False, id="the node may be skipped"),
        pytest.param(Step.CLAIM, {}, False, id="another operation may hold the node for hours"),
        pytest.param(Step.CLAIM, {"claimed_by": CLAIM}, True, id="claimed"),
        pytest.param(Step.DRAIN, {"claimed_by": CLAIM}, True, id="drained"),
        pytest.param(Step.JOB, {"claimed_by": CLAIM}, True, id="worked on"),
        pytest.param(Step.REBOOT, {"claimed_by": CLAIM}, True, id="about to go down"),
        pytest.param(Step.REBOOT, {"boot_id": "n1-boot-2"}, False, id="back already"),
        pytest.param(Step.POSTFLIGHT, {}, False, id="verified"),
        pytest.param(Step.RELEASE, {}, False, id="given back"),
        pytest.param(Step.DONE, {}, False, id="done"),
    ],
)
def test_when_a_reboot_of_the_node_is_due(step: Step, facts: dict[str, Any], due: bool) -> None:
    outcome = Outcome.COMPLETED if step in (Step.RELEASE, Step.DONE) else None
    found = reboot_due(node("n1", **facts), [rebooting({"n1": record(step, outcome)})])
    assert found == (f"{CLAIM} on n1" if due else "")


def test_an_operation_that_does_not_reboot_is_no_reason_to_give_way() -> None:
    claimed = node("n1", claimed_by=CLAIM)
    assert reboot_due(claimed, [op(records={"n1": record(Step.JOB)}, cordon=True)]) == ""
    assert reboot_due(claimed, [rebooting({"n2": record(Step.JOB, name="n2")})]) == ""
    assert reboot_due(claimed, []) == ""


@pytest.mark.parametrize(
    ("other", "nodes", "why"),
    [
        (replace(OTHER, ready=False), {}, "not ready"),
        (replace(OTHER, ending=True), {}, "ending"),
        (replace(OTHER, node="n1"), {}, "on the same node"),
        (replace(OTHER, node="n3"), {}, "on a node that nobody knows"),
        (replace(OTHER, uid=OWN.uid), {}, "itself"),
        (replace(OTHER, owner=None), {}, "no replica"),
        (replace(OTHER, owner=replace(OWNER, uid="older")), {}, "of another version"),
        (OTHER, {"n2": node("n2", ready=False)}, "on a node that is away"),
    ],
)
def test_whom_nothing_is_left_to(other: ReplicaView, nodes: dict[str, NodeView], why: str) -> None:
    known = {"n1": node("n1"), "n2": node("n2")} | nodes
    assert heir(OWN, [other], known.get, lambda _: ()) is None, why


def test_nobody_gives_way_to_a_replica_that_is_about_to_go_down_itself() -> None:
    known = {name: node(name) for name in ("n1", "n2", "n3")}
    flying = {"n2": [rebooting({"n2": record(Step.PREFLIGHT, name="n2")})]}
    assert heir(OWN, [OTHER], known.get, lambda name: flying.get(name, ())) is None
    third = replace(OTHER, name="op-3", uid="uid-3", node="n3")
    assert heir(OWN, [OTHER, third], known.get, lambda name: flying.get(name, ())) == third
    harmless = {"n2": [op(records={"n2": record(Step.JOB, name="n2")})]}
    assert heir(OWN, [third, OTHER], known.get, lambda name: harmless.get(name, ())) == OTHER, "first by name"


def test_a_single_replica_gives_way_to_nobody() -> None:
    known = {"n1": node("n1")}
    assert heir(OWN, [OWN], known.get, lambda _: ()) is None
    assert heir(replace(OWN, owner=None), [replace(OTHER, owner=None)], known.get, lambda _: ()) is None


def test_a_replica_is_read_as_the_api_server_tells_it() -> None:
    body: dict[str, Any] = {
        "metadata": {
            "name": "op-2",
            "uid": "uid-2",
            "labels": {"app": "operator"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "operator", "uid": "uid-of-set", "controller": True}
            ],
        },
        "spec": {"nodeName": "n2"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert parse_replica(body) == OTHER
    ended = {**body, "metadata": {**body["metadata"], "deletionTimestamp": at(0).isoformat()}}
    assert parse_replica(ended) == replace(OTHER, ending=True)
    bare = {"metadata": {"name": "new"}}
    assert parse_replica(bare) == ReplicaView("new", "", "", {}, None)
