"""What the two webhooks answer: defaults, refusals, warnings, and the rule that an operation runs once."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from tests.webhooks.objects import Object, in_phase, node_op, patch_in, resource_of, review, upgrade
from webhooks.lookups import NodeLabels
from webhooks.review import Door, Knowledge, Malformed, answer, mutate, parse, render, validate

PHASES = ["Running", "Completed", "Failed"]
DOORS = [mutate, validate]


class Cluster:
    """Nodes and namespaces, as far as they are known."""

    def __init__(
        self, nodes: Collection[Mapping[str, str]] | None = None, namespace: Mapping[str, str] | None = None
    ) -> None:
        self.nodes = nodes
        self.namespace = namespace

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        return self.nodes

    def namespace_labels(self, namespace: str) -> Mapping[str, str] | None:
        return self.namespace if namespace == "default" else {}


def ask(door: Door, obj: Object, old: Object | None = None, knowledge: Knowledge | None = None) -> Object:
    request = parse(review(obj, old))
    return render(request, answer(resource_of(obj), door, request, knowledge or Knowledge()))


def refused(door: Door, obj: Object, old: Object | None = None) -> str:
    response = ask(door, obj, old)["response"]
    return "" if response["allowed"] else str(response["status"]["message"])


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


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("make", [node_op, upgrade])
@pytest.mark.parametrize("phase", [None, "", "Pending"])
def test_before_the_start_a_spec_may_be_corrected(door: Door, make: Any, phase: str | None) -> None:
    old = make() | ({"status": {"phase": phase}} if phase is not None else {})
    assert refused(door, make(concurrency=3), old) == ""
    assert "spec.concurrency" in refused(door, make(concurrency=-3), old)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("make", [node_op, upgrade])
@pytest.mark.parametrize("phase", PHASES)
def test_after_the_start_no_spec_change_passes(door: Door, make: Any, phase: str) -> None:
    old = in_phase(make(concurrency=1), phase)
    new = in_phase(make(concurrency=2), phase)
    said = refused(door, new, old)
    name = old["metadata"]["name"]
    assert f'{old["kind"]} "{name}" has started at 2026-05-04T03:02:01Z' in said
    assert f'"generateName: {name}-"' in said
    assert "kubectl create -f" in said
    assert {"running", "completed", "failed"} & set(said.replace(".", "").split())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_finished_object_is_not_restarted_by_a_status_in_the_update(door: Door, phase: str) -> None:
    old = in_phase(node_op(concurrency=1), phase)
    assert refused(door, in_phase(node_op(concurrency=2), "Pending"), old)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"a": "b"}},
        {"annotations": {"operator.kairos.io/paused": "true"}},
        {"finalizers": []},
        {"ownerReferences": [{"kind": "NodeOpUpgrade", "name": "x", "uid": "y"}]},
    ],
)
def test_after_the_start_metadata_stays_editable(door: Door, phase: str, metadata: Object) -> None:
    old = in_phase(node_op(), phase)
    new = old | {"metadata": old["metadata"] | metadata}
    response = ask(door, new, old)["response"]
    assert response == {"uid": response["uid"], "allowed": True} or "patch" in response


@pytest.mark.parametrize("door", DOORS)
def test_metadata_of_an_object_that_today_would_be_refused_stays_editable(door: Door) -> None:
    old = in_phase(node_op(image="a b"), "Completed")
    assert refused(door, old | {"metadata": old["metadata"] | {"labels": {"a": "b"}}}, old) == ""


def test_leaving_out_the_image_of_a_started_operation_means_the_one_it_started_with() -> None:
    """kubectl replace with the file that the object was made from."""
    old = in_phase(node_op(image="busybox:1", preflight={"command": ["x"], "image": "busybox:1"}), "Running")
    new = in_phase(node_op(preflight={"command": ["x"]}), "Running")
    del new["spec"]["image"]
    response = ask(mutate, new, old, Knowledge(default_image="busybox:2"))
    images = {op["path"]: op["value"] for op in patch_in(response) if op["path"].endswith("/image")}
    assert images == {"/spec/image": "busybox:1", "/spec/preflight/image": "busybox:1"}


def test_an_operation_that_started_without_an_image_is_given_none() -> None:
    """It was made while no webhook ran; filling in now would be a change of its spec."""
    old = in_phase(node_op(), "Running")
    del old["spec"]["image"]
    response = ask(mutate, old | {"metadata": {"name": "op", "labels": {"a": "b"}}}, old)
    assert response["response"]["allowed"]
    assert not [op for op in patch_in(response) if op["path"].endswith("/image")]


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
        (upgrade(concurrency=2), [CONTROL_PLANE] * 3, False),
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


def test_nodes_that_are_kept_from_change_to_change() -> None:
    nodes = NodeLabels()
    for name in ("a", "b", "c"):
        nodes.observed(name, CONTROL_PLANE)
    assert "reboots 3 control-plane nodes" in warned(upgrade(), Cluster(nodes))[0]
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
