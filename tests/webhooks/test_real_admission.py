"""Admission as a user meets it: kubectl, a real API server, and the webhooks that it calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.controlplane import Cluster
from tests.webhooks.objects import Object
from tests.webhooks.objects import node_op as whole_node_op
from tests.webhooks.objects import upgrade as whole_upgrade
from tests.webhooks.real import Admission, with_crds, with_webhooks

pytestmark = pytest.mark.realcluster


@pytest.fixture(scope="module")
def admission(real_control_plane: Cluster) -> Iterator[Admission]:
    if not real_control_plane.reaches_loopback:
        pytest.skip("the API server cannot call a webhook on this machine's loopback")
    with with_crds(real_control_plane, "admission-webhook") as plain, with_webhooks(plain) as webhooks:
        yield webhooks


@pytest.fixture(autouse=True)
def fresh(admission: Admission) -> Iterator[None]:
    admission.facts.nodes = None
    admission.facts.namespaces = {}
    yield
    admission.clear()


def node_op(name: str = "op", **spec: object) -> Object:
    return unplaced(whole_node_op(name, **spec))


def upgrade(name: str = "up", **spec: object) -> Object:
    return unplaced(whole_upgrade(name, **spec))


def unplaced(obj: Object) -> Object:
    """As a user's file has it: no namespace, no uid; a name that ends in - is a generateName."""
    name = obj["metadata"]["name"]
    key = "generateName" if name.endswith("-") else "name"
    return obj | {"metadata": {key: name}}


def test_what_create_prints_has_every_default(admission: Admission) -> None:
    minimal = node_op(preflight={"command": ["x"]})
    del minimal["spec"]["image"]
    spec = yaml.safe_load(admission.must("create", "-o", "yaml", "-f", "-", obj=minimal))["spec"]
    assert spec["image"] == spec["preflight"]["image"] == "mirror.local/busybox:1.36"
    assert spec["drainOptions"]["ignoreDaemonSets"] is True
    assert (spec["hostMountPath"], spec["backoffLimit"], spec["rebootTimeoutSeconds"]) == ("/host", 6, 1800)
    spec = yaml.safe_load(admission.must("create", "-o", "yaml", "-f", "-", obj=upgrade()))["spec"]
    assert (spec["upgradeActive"], spec["upgradeRecovery"], spec["debug"]) == (True, False, False)


def test_all_faults_are_listed_with_their_fields(admission: Admission) -> None:
    bad = node_op(
        image="a b",
        command=[],
        concurrency=-1,
        backoffLimit="6",
        hostMountPath="host",
        drainOptions={"enabled": True},
        nodeSelector={
            "matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b c", "operator": "Exists"}]
        },
    )
    said = admission.refusal("create", "-f", "-", obj=bad)
    assert said.splitlines() == [
        'The NodeOp "op" is invalid: ',
        '* spec.backoffLimit: Invalid value: "6": must be of type integer',
        "* spec.command: Required value: must name the program to run",
        "* spec.concurrency: Invalid value: -1: should be greater than or equal to 0",
        "* spec.drainOptions.enabled: Invalid value: true: needs spec.cordon: true",
        '* spec.hostMountPath: Invalid value: "host": must be an absolute path',
        '* spec.image: Invalid value: "a b": must not contain whitespace',
        "* spec.nodeSelector.matchExpressions[0].values: Required value: must be specified when `operator` is "
        "'In' or 'NotIn'",
        '* spec.nodeSelector.matchExpressions[1].key: Invalid value: "b c": name part must consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    ]


def test_generate_name_twice_gives_two_objects(admission: Admission) -> None:
    obj = upgrade("kairos-upgrade-")
    names = {admission.must("create", "-o", "name", "-f", "-", obj=obj) for _ in range(2)}
    assert len(names) == 2
    assert all("kairos-upgrade-" in name for name in names)


def test_without_a_name_the_refusal_speaks_of_generate_name(admission: Admission) -> None:
    said = admission.refusal("create", "-f", "-", obj=upgrade("kairos-upgrade-", concurrency=-1))
    assert 'The NodeOpUpgrade "generateName: kairos-upgrade-" is invalid' in said


@pytest.mark.parametrize("name", ["a" * 253, "b" * 252 + "-"])
def test_names_of_any_legal_length(admission: Admission, name: str) -> None:
    assert admission.must("create", "-o", "name", "-f", "-", obj=node_op(name))


def test_a_dry_run_is_defaulted_checked_and_not_stored(admission: Admission) -> None:
    printed = admission.must("create", "--dry-run=server", "-o", "yaml", "-f", "-", obj=node_op())
    assert yaml.safe_load(printed)["spec"]["hostMountPath"] == "/host"
    assert admission.refusal("create", "--dry-run=server", "-f", "-", obj=node_op(image="a b"))
    assert "NotFound" in admission.refusal("get", "nodeop", "op")


def test_the_refusal_after_the_start_says_what_to_do(admission: Admission) -> None:
    admission.must("create", "-f", "-", obj=upgrade(concurrency=1))
    admission.set_phase("nodeopupgrade", "up", "Completed")
    said = admission.refusal("apply", "-f", "-", obj=upgrade(concurrency=2))
    assert 'NodeOpUpgrade "up" has started at 2026-05-04T03:02:01Z and completed' in said
    assert 'in place of "name: up", write "generateName: up-"' in said
    assert "kubectl create -f" in said


def test_replacing_with_the_file_it_was_made_from_changes_nothing(admission: Admission) -> None:
    """The file has no image, so the object has the operator's; leaving it out again is no change."""
    obj = node_op(preflight={"command": ["x"]})
    del obj["spec"]["image"]
    admission.must("create", "-f", "-", obj=obj)
    admission.set_phase("nodeop", "op", "Running")
    admission.must("replace", "-f", "-", obj=obj)
    assert admission.read("nodeop", "op")["metadata"]["generation"] == 1


def test_an_object_made_while_no_webhook_ran_stays_editable(admission: Admission) -> None:
    obj = node_op("early")
    del obj["spec"]["image"]
    admission.must("create", "-f", "-", obj=obj)
    admission.must(
        "patch", "nodeop", "early", "--type=json", "-p", '[{"op": "remove", "path": "/spec/image"}]'
    )
    admission.set_phase("nodeop", "early", "Running")
    admission.must("label", "nodeop", "early", "a=b")
    admission.must("apply", "--server-side", "--force-conflicts", "-f", "-", obj=obj)


def test_warnings_are_shown_once_per_request(admission: Admission) -> None:
    control_plane = {"node-role.kubernetes.io/control-plane": ""}
    admission.facts.nodes = [control_plane, control_plane]
    admission.facts.namespaces = {admission.namespace: {"pod-security.kubernetes.io/enforce": "restricted"}}
    obj = upgrade(image="quay.io/kairos/hadron")
    said = admission.run("create", "-f", "-", obj=obj).stderr.splitlines()
    assert [line.split(" ")[:2] for line in said] == [
        ["Warning:", "namespace"],
        ["Warning:", "spec.concurrency:"],
        ["Warning:", "spec.image:"],
    ]
    assert admission.run("apply", "-f", "-", obj=obj).stderr.count("spec.") == 0
    assert admission.run("label", "nodeopupgrade", "up", "a=b").stderr == ""


def test_a_selector_that_matches_no_node_is_warned_of(admission: Admission) -> None:
    admission.facts.nodes = [{"a": "b"}]
    done = admission.run("create", "-f", "-", obj=node_op(nodeSelector={"matchLabels": {"a": "c"}}))
    assert done.returncode == 0
    assert "Warning: spec.nodeSelector: matches no node" in done.stderr


def test_kubectl_get_shows_progress(admission: Admission) -> None:
    admission.must("create", "-f", "-", obj=upgrade())
    status = '{"status": {"phase": "Running", "message": "upgrading", "summary": {"progress": "1/3", "running": 1}}}'
    admission.must("patch", "nou", "up", "--subresource=status", "--type=merge", "-p", status)
    header, row = admission.must("get", "kairos", "-o", "wide").splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "IN-FLIGHT", "FAILED", "AGE", "IMAGE", "MESSAGE"]
    assert row.split()[1:4] == ["Running", "1/3", "1"]
    assert row.endswith("upgrading")
