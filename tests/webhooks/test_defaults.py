"""Defaulting: every default, a patch that says no more than is missing, and refusals by both webhooks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.webhooks.asking import DOORS, ask, refused
from tests.webhooks.objects import Object, node_op, patch_in, upgrade
from webhooks.review import Door, Knowledge, mutate


def filled(obj: Object, knowledge: Knowledge | None = None) -> Any:
    """The spec after the mutating webhook."""
    spec = json.loads(json.dumps(obj["spec"]))
    for operation in patch_in(ask(mutate, obj, None, knowledge)):
        assert operation["op"] == "add"
        *parents, last = operation["path"].removeprefix("/spec/").split("/")
        place = spec
        for step in parents:
            place = place[step]
        place[last] = operation["value"]
    return spec


def test_a_node_op_gets_every_default() -> None:
    obj = node_op(preflight={"command": ["x"]})
    del obj["spec"]["image"]
    assert filled(obj, Knowledge(default_image="mirror.local/busybox:1")) == {
        "command": ["ls"],
        "image": "mirror.local/busybox:1",
        "hostMountPath": "/host",
        "cordon": False,
        "uncordonOnFailure": False,
        "drainOptions": {
            "enabled": False,
            "force": False,
            "ignoreDaemonSets": True,
            "deleteEmptyDirData": False,
            "timeoutSeconds": 300,
        },
        "rebootOnSuccess": False,
        "backoffLimit": 6,
        "concurrency": 0,
        "stopOnFailure": False,
        "rebootTimeoutSeconds": 1800,
        "preflight": {"command": ["x"], "image": "mirror.local/busybox:1", "activeDeadlineSeconds": 120},
    }


def test_an_upgrade_gets_every_default() -> None:
    assert filled(upgrade()) == {
        "image": "quay.io/kairos/hadron:v4.0.3",
        "concurrency": 0,
        "stopOnFailure": False,
        "upgradeActive": True,
        "upgradeRecovery": False,
        "force": False,
        "debug": False,
        "uncordonOnFailure": False,
        "rebootTimeoutSeconds": 1800,
    }


def test_the_patch_is_minimal() -> None:
    obj = node_op(cordon=True, drainOptions={"enabled": True, "timeoutSeconds": 9}, concurrency=2)
    paths = {operation["path"] for operation in patch_in(ask(mutate, obj))}
    assert paths == {
        "/spec/hostMountPath",
        "/spec/uncordonOnFailure",
        "/spec/rebootOnSuccess",
        "/spec/backoffLimit",
        "/spec/stopOnFailure",
        "/spec/rebootTimeoutSeconds",
        "/spec/drainOptions/force",
        "/spec/drainOptions/ignoreDaemonSets",
        "/spec/drainOptions/deleteEmptyDirData",
    }


def test_an_object_with_everything_gets_no_patch() -> None:
    obj = node_op()
    obj["spec"] = filled(obj)
    assert "patch" not in ask(mutate, obj)["response"]


def test_a_checks_image_is_the_operations() -> None:
    obj = node_op(image="a:1", preflight={"command": ["x"], "image": "b:1"}, postflight={"command": ["x"]})
    assert filled(obj)["preflight"]["image"] == "b:1"
    assert filled(obj)["postflight"]["image"] == "a:1"


@pytest.mark.parametrize("door", DOORS)
def test_both_webhooks_refuse_with_all_faults(door: Door) -> None:
    """The API server checks its schema between the two: a refusal only by the second would not show the rest."""
    said = refused(door, node_op(concurrency=-1, hostMountPath="host", image="a b"))
    assert said.startswith('NodeOp.operator.kairos.io "op" is invalid: [spec.concurrency: ')
    assert "spec.hostMountPath" in said
    assert "spec.image" in said
