"""The reboot pod and what lets it speak of itself, one sentence of the promise at a time."""

from __future__ import annotations

from kairos_operator.core.manifests import REBOOT_RIGHTS, job, reboot_pod
from kairos_operator.core.snapshot import Snapshot
from tests.core.world import op, snapshot


def _facts() -> Snapshot:
    return snapshot(op(reboot_on_success=True))


def test_the_reboot_pod() -> None:
    facts = _facts()
    body = reboot_pod(facts, "n1")
    spec = body["spec"]
    assert (spec["hostPID"], spec["restartPolicy"]) == (True, "OnFailure")
    (container,) = spec["containers"]
    assert container["image"] == "operator:1"
    assert container["securityContext"] == {"privileged": True, "runAsUser": 0, "runAsGroup": 0}
    assert container["volumeMounts"] == [{"name": "sentinel", "mountPath": "/sentinel"}]
    assert spec["volumes"] == [
        {"name": "sentinel", "hostPath": {"path": "/usr/local/.kairos", "type": "DirectoryOrCreate"}}
    ]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment == {
        "POD_NAME": body["metadata"]["name"],
        "POD_NAMESPACE": "default",
        "JOB_NAME": job(facts, "n1")["metadata"]["name"],
    }


def test_the_reboot_pod_and_the_job_share_the_sentinels_directory() -> None:
    facts = _facts()
    shared = [
        one for one in job(facts, "n1")["spec"]["template"]["spec"]["volumes"] if one["name"] == "sentinel"
    ]
    assert shared == reboot_pod(facts, "n1")["spec"]["volumes"]


def test_its_rights_end_at_that_one_pod() -> None:
    facts = _facts()
    name = reboot_pod(facts, "n1")["metadata"]["name"]
    bodies = {resource.kind: make(facts, "n1") for resource, make in REBOOT_RIGHTS}
    assert list(bodies) == ["ServiceAccount", "Role", "RoleBinding"]
    assert bodies["Role"]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": [name], "verbs": ["get", "patch"]}
    ]
    assert bodies["RoleBinding"]["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": name,
    }
    assert bodies["RoleBinding"]["subjects"] == [
        {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    ]
    assert {body["metadata"]["name"] for body in bodies.values()} == {name}
    assert reboot_pod(facts, "n1")["spec"]["serviceAccountName"] == name
