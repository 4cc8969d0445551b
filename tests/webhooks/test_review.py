"""Reviews that are odd, and what is answered to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from tests.webhooks.asking import DOORS, ask, refused
from tests.webhooks.objects import Object, node_op, review, upgrade
from webhooks.review import Door, Knowledge, Malformed, answer, mutate, parse, validate


def test_without_a_name_yet_the_refusal_speaks_of_generate_name() -> None:
    obj = node_op(concurrency=-1)
    obj["metadata"] = {"generateName": "reboot-"}
    assert '"generateName: reboot-" is invalid' in refused(mutate, obj)


@pytest.mark.parametrize("door", DOORS)
def test_a_review_of_another_kind_is_refused_and_not_an_error(door: Door) -> None:
    request = parse(review(node_op()))
    verdict = answer(NODE_OP_UPGRADES, door, request, Knowledge())
    assert verdict.status is not None
    assert verdict.status["code"] == 400


def test_an_update_without_its_old_object_is_refused() -> None:
    verdict = answer(NODE_OPS, validate, parse(review(node_op(), operation="UPDATE")), Knowledge())
    assert verdict.status is not None


def test_operations_that_change_no_spec_pass() -> None:
    assert answer(
        NODE_OPS, validate, parse(review({"kind": "NodeOp"}, operation="DELETE")), Knowledge()
    ).allowed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"kind": "AdmissionReview"}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "a"}}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {}}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": 1}}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": NaN}}',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_review_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("depth", [50, 400, 900])
def test_deep_nesting_is_answered(door: Door, depth: int) -> None:
    nested: Any = "x"
    for _ in range(depth):
        nested = {"a": nested}
    response = ask(door, node_op(nodeSelector=nested))["response"]
    assert response["allowed"] is False or "patch" in response or response["allowed"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("before", [None, [], "x", {}, {"image": 3}, {"image": ["x"], "preflight": "y"}])
@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_an_update_of_an_odd_object_gets_a_verdict(door: Door, before: Any, phase: str) -> None:
    """What was stored while the schema was another one, or none."""
    new = node_op(preflight={"command": ["x"]})
    old = new | {"spec": before, "status": {"phase": phase}}
    assert ask(door, new, old)["response"]["allowed"] is (phase == "Pending")


HOSTILE = [
    upgrade(excludePaths=["a"] * 100_000),
    node_op(command=["\0"] * 100_000),
    node_op(command=[1] * 1000),
    node_op(imagePullSecrets=[{"name": "A"}] * 50_000),
    node_op(nodeSelector={"matchExpressions": [{"key": "A B", "operator": "x"}] * 20_000}),
    node_op(nodeSelector={"matchExpressions": [{"key": "a", "operator": "In", "values": [1] * 256}] * 64}),
    node_op(nodeSelector={"matchLabels": {f"a b{number}": "x y" for number in range(50_000)}}),
    node_op(nodeSelector={"matchLabels": {"a." * 500_000 + "/x": ""}}),
    node_op(name="a." * 500_000),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("obj", HOSTILE, ids=range(len(HOSTILE)))
def test_an_object_with_very_many_faults_gets_a_short_answer(door: Door, obj: Object) -> None:
    """Anybody who may create an operation could otherwise keep the process busy for seconds."""
    response = ask(door, obj)["response"]
    assert not response["allowed"]
    assert len(json.dumps(response)) < 100_000
    causes = response["status"]["details"]["causes"]
    assert len(causes) <= 101
    if len(causes) == 101:
        assert {"field": "spec", "message": "Too many: 100: further faults are not listed"}.items() <= causes[
            100
        ].items()
