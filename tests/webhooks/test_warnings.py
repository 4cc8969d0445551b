"""What is legal and risky is warned of: in few words, once, and only where it is known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhooks.asking import Cluster, ask
from tests.webhooks.objects import Object, node_op, upgrade
from webhooks.lookups import NodeLabels
from webhooks.review import Knowledge, validate

CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
MASTER = {"node-role.kubernetes.io/master": "true"}


def warned(obj: Object, cluster: Cluster, old: Object | None = None) -> list[str]:
    response = ask(validate, obj, old, Knowledge(lookups=cluster))["response"]
    assert response["allowed"]
    found: list[str] = response.get("warnings", [])
    return found


@pytest.mark.parametrize(
    ("obj", "fields"),
    [
        (node_op(image="busybox"), ["spec.image"]),
        (node_op(image="busybox:latest"), ["spec.image"]),
        (node_op(image="busybox@sha256:" + "a" * 64), []),
        (node_op(image="a", preflight={"command": ["x"], "image": "a"}), ["spec.image"]),
        (node_op(preflight={"command": ["x"], "image": "a"}), ["spec.preflight.image"]),
        (upgrade(image="quay.io/kairos/hadron:latest"), ["spec.image"]),
        (upgrade(), []),
    ],
)
def test_warnings_of_images_that_may_change(obj: Object, fields: list[str]) -> None:
    assert [text.split(": ")[0] for text in warned(obj, Cluster())] == fields


@pytest.mark.parametrize(
    ("obj", "nodes", "warns"),
    [
        (upgrade(), [CONTROL_PLANE, MASTER, {}], True),
        (upgrade(concurrency=1), [CONTROL_PLANE, MASTER, {}], False),
        (upgrade(concurrency=3), [CONTROL_PLANE] * 3, True),
        (upgrade(concurrency=2), [CONTROL_PLANE] * 3, True),
        (upgrade(concurrency=2), [CONTROL_PLANE] * 5, False),
        (upgrade(concurrency=3), [CONTROL_PLANE] * 5, True),
        (upgrade(concurrency=9), [CONTROL_PLANE] * 5, True),
        (upgrade(), [CONTROL_PLANE, {}], False),
        (
            upgrade(nodeSelector={"matchLabels": {"a": "b"}}),
            [CONTROL_PLANE, CONTROL_PLANE, {"a": "b"}],
            False,
        ),
        (upgrade(upgradeActive=False, upgradeRecovery=True), [CONTROL_PLANE, CONTROL_PLANE], False),
        (upgrade(), None, False),
        (node_op(rebootOnSuccess=True), [CONTROL_PLANE, CONTROL_PLANE], True),
        (node_op(), [CONTROL_PLANE, CONTROL_PLANE], False),
    ],
)
def test_warns_of_control_planes_that_go_down_together(obj: Object, nodes: Any, warns: bool) -> None:
    found = warned(obj, Cluster(nodes))
    assert bool(found) is warns
    assert all(text.startswith("spec.concurrency: ") for text in found)


def test_warns_of_an_upgrade_of_neither_partition_once() -> None:
    [warning] = warned(upgrade(upgradeActive=False), Cluster([CONTROL_PLANE] * 3))
    assert warning.startswith("spec.upgradeActive: ")
    assert "nothing reboots into it" in warning


def test_nodes_that_are_kept_from_change_to_change() -> None:
    nodes = NodeLabels()
    for name in ("a", "b", "c"):
        nodes.observed(name, CONTROL_PLANE)
    assert "reboots 3 of 3 control-plane nodes" in warned(upgrade(), Cluster(nodes))[0]
    nodes.observed("a", {})
    nodes.observed("b", None)
    assert (len(nodes), list(nodes.control_planes)) == (2, [CONTROL_PLANE])
    assert {} in nodes
    assert warned(upgrade(), Cluster(nodes)) == []


@pytest.mark.parametrize(
    ("level", "warns"), [("baseline", True), ("restricted", True), ("privileged", False), (None, False)]
)
def test_warns_of_a_namespace_that_refuses_privileged_pods(level: str | None, warns: bool) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    assert bool(warned(node_op(), Cluster(namespace=labels))) is warns
    assert warned(node_op(), Cluster(namespace=None)) == []


def test_warns_of_a_selector_that_matches_nothing() -> None:
    obj = node_op(nodeSelector={"matchLabels": {"a": "b"}})
    assert "matches no node" in warned(obj, Cluster([{"a": "c"}]))[0]
    assert warned(obj, Cluster([{"a": "b"}])) == []
    assert warned(obj, Cluster(None)) == []


@pytest.mark.parametrize(
    ("selector", "warns"),
    [
        ({"matchLabels": {}}, True),
        ({"matchLabels": {}, "matchExpressions": []}, True),
        ({"matchLabels": {}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}, False),
        ({"matchLabels": {"a": ""}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_warns_of_labels_that_are_empty(selector: Any, warns: bool) -> None:
    """What the API server makes of `matchLabels: {node-role.kubernetes.io/control-plane: }`."""
    found = warned(upgrade(nodeSelector=selector), Cluster())
    assert [text.split(": ")[0] for text in found] == ["spec.nodeSelector.matchLabels"] * warns


def test_warns_of_a_check_that_kept_the_image_that_was_corrected() -> None:
    old = node_op(image="a:1", preflight={"command": ["x"], "image": "a:1"})
    new = node_op(image="a:2", preflight={"command": ["x"], "image": "a:1"})
    assert warned(new, Cluster(), old)[0].startswith("spec.preflight.image: still")


def test_warnings_are_few_short_and_not_repeated() -> None:
    obj = node_op(
        image="a" * 250,
        preflight={"command": ["x"], "image": "b"},
        postflight={"command": ["x"], "image": "c"},
        rebootOnSuccess=True,
    )
    cluster = Cluster([CONTROL_PLANE] * 3, {"pod-security.kubernetes.io/enforce": "restricted"})
    found = warned(obj, cluster)
    assert len(found) == 5
    assert all(len(text) <= 250 for text in found)
    assert warned(obj | {"metadata": {"name": "op", "labels": {"x": "y"}}}, cluster, obj) == []
