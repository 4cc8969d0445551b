"""An operation runs once: one table, with the webhooks and without them, where the CRD's own rules must do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.controlplane import Cluster
from tests.webhooks.objects import Object
from tests.webhooks.real import Admission, with_crds, with_webhooks
from tests.webhooks.test_real_admission import node_op, upgrade

pytestmark = pytest.mark.realcluster
KINDS: dict[str, Callable[..., Object]] = {"nodeop": node_op, "nodeopupgrade": upgrade}
SPEC_CHANGE = '{"spec": {"concurrency": 7}}'
BEFORE, AFTER = ["", "Pending"], ["Running", "Completed", "Failed"]


@pytest.fixture(params=["webhooks", "schema"], scope="module")
def admission(request: pytest.FixtureRequest, real_control_plane: Cluster) -> Iterator[Admission]:
    if not real_control_plane.reaches_loopback:
        pytest.skip("the API server cannot call a webhook on this machine's loopback")
    with with_crds(real_control_plane, f"oneoff-{request.param}") as plain:
        if request.param == "schema":
            yield plain
        else:
            with with_webhooks(plain) as webhooks:
                yield webhooks


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, admission: Admission) -> Iterator[str]:
    found: str = request.param
    yield found
    admission.clear()


def make(admission: Admission, kind: str, phase: str) -> tuple[str, Object]:
    """An object of the kind in the phase, made as `kubectl apply` does, and its manifest."""
    manifest = KINDS[kind]("x", concurrency=1)
    admission.must("apply", "-f", "-", obj=manifest)
    if phase:
        admission.set_phase(kind, "x", phase)
    return "x", manifest


@pytest.mark.parametrize("phase", BEFORE)
def test_before_the_start_every_way_to_correct_the_spec_works(
    admission: Admission, kind: str, phase: str
) -> None:
    name, manifest = make(admission, kind, phase)
    admission.must("patch", kind, name, "--type=merge", "-p", SPEC_CHANGE)
    corrected = manifest | {"spec": manifest["spec"] | {"concurrency": 8}}
    admission.must("apply", "-f", "-", obj=corrected)
    admission.must("replace", "-f", "-", obj=corrected | {"spec": manifest["spec"] | {"concurrency": 9}})
    assert admission.read(kind, name)["spec"]["concurrency"] == 9


@pytest.mark.parametrize("phase", AFTER)
def test_after_the_start_no_way_to_change_the_spec_works(admission: Admission, kind: str, phase: str) -> None:
    name, manifest = make(admission, kind, phase)
    changed = manifest | {"spec": manifest["spec"] | {"concurrency": 7}}
    attempts: list[tuple[tuple[str, ...], Object | None]] = [
        (("patch", kind, name, "--type=merge", "-p", SPEC_CHANGE), None),
        (("patch", kind, name, "--dry-run=server", "--type=merge", "-p", SPEC_CHANGE), None),
        (("apply", "-f", "-"), changed),
        (("replace", "-f", "-"), changed),
        (("apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", "-"), changed),
    ]
    for command, obj in attempts:
        said = admission.refusal(*command, obj=obj)
        assert "spec: Forbidden: " in said, command
        assert "generateName" in said
        assert "kubectl create" in said
    assert admission.read(kind, name)["spec"]["concurrency"] == 1


@pytest.mark.parametrize("phase", AFTER)
def test_after_the_start_everything_else_still_works(admission: Admission, kind: str, phase: str) -> None:
    name, manifest = make(admission, kind, phase)
    admission.must("apply", "-f", "-", obj=manifest)
    admission.must("replace", "-f", "-", obj=manifest)
    admission.must(
        "apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", "-", obj=manifest
    )
    admission.must("label", kind, name, "team=a")
    admission.must("annotate", kind, name, "operator.kairos.io/paused=true")
    admission.must("annotate", kind, name, "operator.kairos.io/paused-")
    for finalizers in (["operator.kairos.io/cordons"], []):
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        admission.must("patch", kind, name, "--type=merge", "-p", patch)
    account = admission.read("serviceaccount", "default")
    owner = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "name": "default",
        "uid": account["metadata"]["uid"],
    }
    patch = json.dumps({"metadata": {"ownerReferences": [owner]}})
    admission.must("patch", kind, name, "--type=merge", "-p", patch)
    status = '{"status": {"message": "x", "nodeStatuses": {"n": {"message": "y"}}}}'
    admission.must("patch", kind, name, "--subresource=status", "--type=merge", "-p", status)
    assert admission.read(kind, name)["metadata"]["generation"] == 1


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_a_finished_operation_never_starts_again(admission: Admission, kind: str, phase: str) -> None:
    name, _ = make(admission, kind, phase)
    other = "Failed" if phase == "Completed" else "Completed"
    for status in ({"phase": "Running"}, {"phase": "Pending"}, {"phase": other}, {"phase": None}, None):
        patch = json.dumps({"status": status})
        said = admission.refusal("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)
        assert "status.phase: Forbidden: a finished operation never starts again" in said
    assert admission.read(kind, name)["status"]["phase"] == phase


def test_two_who_edit_at_once_are_told(admission: Admission, kind: str) -> None:
    name, manifest = make(admission, kind, "")
    seen = admission.read(kind, name)
    admission.must("label", kind, name, "a=b")
    stale = manifest | {"metadata": {"name": name, "resourceVersion": seen["metadata"]["resourceVersion"]}}
    assert "the object has been modified" in admission.refusal("replace", "-f", "-", obj=stale)


def test_a_status_keeps_what_a_newer_operator_wrote(admission: Admission, kind: str) -> None:
    name, _ = make(admission, kind, "Running")
    newer = {"later": {"a": 1}, "nodeStatuses": {"n": {"later": True}}}
    patch = json.dumps({"status": newer})
    admission.must("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)
    admission.must(
        "patch", kind, name, "--subresource=status", "--type=merge", "-p", '{"status": {"message": "x"}}'
    )
    status = admission.read(kind, name)["status"]
    assert status["later"] == {"a": 1}
    assert status["nodeStatuses"]["n"] == {"phase": "Running", "later": True}


def test_rules_across_fields_stand_in_the_schema_too(admission: Admission, kind: str) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": "In"}]}
    said = admission.refusal("create", "-f", "-", obj=KINDS[kind](nodeSelector=selector))
    assert "spec.nodeSelector.matchExpressions[0].values: Required value: must be specified" in said
    if kind == "nodeop":
        said = admission.refusal("create", "-f", "-", obj=node_op(drainOptions={"enabled": True}))
        assert "spec.drainOptions.enabled: Invalid value" in said
        assert "needs spec.cordon: true" in said
