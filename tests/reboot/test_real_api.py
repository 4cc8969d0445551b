"""The reboot program on a real API server, with no more rights than to get and patch its own pod."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import Cluster
from tests.reboot.fakes import JOB, FakeNode, wait_until

pytestmark = pytest.mark.realcluster
NAMESPACE = "reboot-program"
POD = "reboot-worker-1"
STATE = "kairos.io/reboot-state"
BOOT_ID = "kairos.io/reboot-boot-id"


def _object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io/v1" if kind.startswith("Role") else "v1"
    metadata = {"name": name} if kind == "Namespace" else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, **fields}


def _pod() -> dict[str, Any]:
    # Nothing schedules it: the container is a process of the test.
    spec = {
        "schedulerName": "nobody",
        "serviceAccountName": POD,
        "containers": [{"name": "reboot", "image": "x"}],
    }
    return _object("Pod", POD, spec=spec)


@pytest.fixture(scope="module")
def namespaced(real_control_plane: Cluster) -> Iterator[Cluster]:
    """The cluster with this module's namespace."""
    real_control_plane.apply(_object("Namespace", NAMESPACE))
    yield real_control_plane
    real_control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def cluster(namespaced: Cluster) -> Iterator[Cluster]:
    """The cluster with one new pod that may get and patch itself."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "resourceNames": [POD], "verbs": ["get", "patch"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": POD}
    namespaced.apply(
        _object("ServiceAccount", POD),
        _object("Role", POD, rules=rules),
        _object("RoleBinding", POD, roleRef=role, subjects=[{"kind": "ServiceAccount", "name": POD}]),
    )
    namespaced.apply(_pod())
    yield namespaced
    _delete_pod(namespaced)


def _delete_pod(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pod", POD, "--namespace", NAMESPACE, "--grace-period=0", "--force")


@pytest.fixture
def node(tmp_path: Path, cluster: Cluster) -> Iterator[FakeNode]:
    fake = FakeNode(tmp_path / "node", cluster.url)
    account = fake.directory / "serviceaccount"
    (account / "token").write_text(cluster.token_for(NAMESPACE, POD))
    shutil.copy(cluster.ca_file, account / "ca.crt")
    yield fake
    fake.close()


def _annotations(cluster: Cluster) -> dict[str, str]:
    found = cluster.read("pod", POD, "--namespace", NAMESPACE)["metadata"].get("annotations", {})
    return {key: value for key, value in found.items() if key.startswith("kairos.io/")}


def test_the_whole_course_and_a_replaced_pod(node: FakeNode, cluster: Cluster) -> None:
    container = {"POD_NAMESPACE": NAMESPACE, "POD_NAME": POD}
    process = node.start(**container)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Waiting for ")
    assert _annotations(cluster) == {}
    node.succeed()
    assert process.wait(30) < 0
    assert _annotations(cluster) == {STATE: "completed", BOOT_ID: "boot-id-1"}

    _delete_pod(cluster)
    cluster.apply(_pod())
    assert _annotations(cluster) == {}
    assert node.run(**container) == 0
    assert _annotations(cluster) == {STATE: "completed", BOOT_ID: "boot-id-1"}
    assert node.run(**container) == 0
    assert node.reboots == 1
    assert node.files() == []


def test_a_failure_is_recorded(node: FakeNode, cluster: Cluster) -> None:
    node.answer("refuse")
    node.succeed()
    assert node.run(POD_NAMESPACE=NAMESPACE, POD_NAME=POD) == 1
    assert _annotations(cluster)[STATE].startswith("failed: the reboot command failed with exit code 1")


def test_a_pod_that_may_not_record_does_not_reboot(node: FakeNode, cluster: Cluster) -> None:
    cluster.kubectl("delete", "rolebinding", POD, "--namespace", NAMESPACE)
    wait_until("the rights are gone", lambda: _may_patch(cluster) == "no")
    node.succeed()
    process = node.start(POD_NAMESPACE=NAMESPACE, POD_NAME=POD)
    assert process.stdout is not None
    assert "the answer was 403" in process.stdout.readline()
    assert "the answer was 403" in process.stdout.readline()
    process.terminate()
    assert process.wait(10) == 143
    assert node.reboots == 0
    assert node.files() == [JOB]


def _may_patch(cluster: Cluster) -> str:
    account = f"system:serviceaccount:{NAMESPACE}:{POD}"
    asked = ("auth", "can-i", "patch", f"pods/{POD}", "--namespace", NAMESPACE, "--as", account)
    return cluster.kubectl(*asked, check=False).stdout.strip()
