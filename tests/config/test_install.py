"""One command installs everything, twice is once, and removing it leaves nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane, Options
from tests.config.installation import CONFIG, NAMESPACE, ROOT, Installation, eventually, remove

pytestmark = pytest.mark.realcluster
DEFAULT = str(CONFIG / "default")


@pytest.fixture(scope="module")
def empty(control_plane_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster in which every test leaves nothing."""
    with ControlPlane(control_plane_assets, tmp_path_factory.mktemp("empty"), Options()) as plane:
        yield plane


@pytest.fixture(scope="module")
def installed(control_plane_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with everything but the webhooks: without a running operator, they would refuse everything."""
    with ControlPlane(control_plane_assets, tmp_path_factory.mktemp("installed"), Options()) as plane:
        plane.kubectl("apply", "--server-side", "-k", DEFAULT)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        for hooks in ("mutating", "validating"):
            plane.kubectl("delete", f"{hooks}webhookconfigurations", "--all")
        yield plane


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlay", "how"),
    [
        ("default", "--server-side"),
        ("default", "--server-side=false"),
        ("overlays/namespace", "--server-side"),
        ("overlays/single-node", "--server-side"),
        ("overlays/air-gapped", "--server-side"),
    ],
)
def test_twice_is_once_and_removing_leaves_nothing(empty: ControlPlane, overlay: str, how: str) -> None:
    plane, directory = empty, str(CONFIG / overlay)
    before = everything(plane)
    first = plane.kubectl("apply", how, "-k", directory)
    assert first.stderr == "", "no warnings"
    plane.kubectl("apply", how, "-k", directory)
    assert plane.kubectl("diff", how, "-k", directory, check=False).stdout == ""
    remove(plane, directory)
    assert everything(plane) == before


def everything(plane: ControlPlane) -> set[str]:
    """What an installation may leave behind in the cluster itself."""
    kinds = (
        "namespaces,crds,clusterroles,clusterrolebindings,priorityclasses,mutatingwebhookconfigurations,"
        "validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings"
    )
    return set(plane.kubectl("get", kinds, "-o", "name").stdout.split())


def test_the_operator_pods_meet_the_level_that_their_namespace_enforces(installed: ControlPlane) -> None:
    plane = installed

    def pods() -> int:
        return len(plane.read("pods", "-n", NAMESPACE)["items"])

    assert eventually(lambda: pods() == 2)
    bare = plane.kubectl("run", "bare", "--image=none", "-n", NAMESPACE, check=False)
    assert 'violates PodSecurity "restricted' in bare.stderr


def test_the_samples_are_accepted(installed: ControlPlane) -> None:
    installed.kubectl("apply", "-k", str(CONFIG / "samples"))


@pytest.mark.slow
def test_removal_in_the_middle_of_an_operation(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    """Operations first, then the rest: the node is uncordoned, and nothing is stuck on a finalizer."""
    plane = own_control_plane
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge"}}
    plane.apply(node)
    installation = Installation(plane, tmp_path)
    try:
        installation.start()
        operation = {
            "apiVersion": "operator.kairos.io/v1alpha1",
            "kind": "NodeOp",
            "metadata": {"name": "endless", "namespace": "default"},
            "spec": {"command": ["sleep"], "cordon": True},
        }
        plane.kubectl("create", "-f", "-", stdin=json.dumps(operation))
        assert eventually(lambda: plane.read("node", "edge")["spec"].get("unschedulable"))
        plane.kubectl("delete", "nodeopupgrades,nodeops", "--all", "--all-namespaces", "--timeout=60s")
        remove(plane, DEFAULT)
    finally:
        installation.stop()
    assert "unschedulable" not in plane.read("node", "edge")["spec"]
    assert "operator.kairos.io" not in plane.kubectl("api-resources").stdout


def create(plane: ControlPlane, namespace: str, kind: str, *user: str) -> str:
    """What the API server says to somebody who creates an operation; "" where it is accepted."""
    body: dict[str, Any] = {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": kind,
        "metadata": {"generateName": "x-", "namespace": namespace},
        "spec": {"image": "a:1"} | ({"command": ["true"]} if kind == "NodeOp" else {}),
    }
    return plane.kubectl(
        "create", "--dry-run=server", "-f", "-", *user, stdin=json.dumps(body), check=False
    ).stderr


@pytest.mark.parametrize("kind", ["NodeOp", "NodeOpUpgrade"])
def test_an_editor_of_a_restricted_namespace_cannot_reach_the_nodes(
    installed: ControlPlane, kind: str
) -> None:
    plane, name = installed, kind.lower()
    open_, tight, base = f"open-{name}", f"tight-{name}", f"base-{name}"
    for namespace, level in ((open_, ""), (tight, "restricted"), (base, "baseline")):
        plane.kubectl("create", "namespace", namespace)
        if level:
            plane.kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/enforce={level}")
        plane.kubectl("create", "rolebinding", "ann", "--clusterrole=edit", "--user=ann", "-n", namespace)
    ann = ("--as=ann",)
    assert eventually(lambda: "as somebody who may patch nodes" in create(plane, tight, kind, *ann))
    assert f'Pod Security level of namespace "{base}" is baseline' in create(plane, base, kind, *ann)
    assert create(plane, open_, kind, *ann) == ""
    assert create(plane, tight, kind) == "", "whoever may patch nodes may do so anywhere"


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("view", ["get", "list", "watch"], ["create", "patch", "delete"]),
        ("edit", ["get", "create", "patch", "update", "delete"], ["deletecollection"]),
        ("admin", ["get", "create", "delete", "deletecollection"], []),
    ],
)
def test_people_have_the_rights_of_the_standard_roles(
    installed: ControlPlane, role: str, may: list[str], may_not: list[str]
) -> None:
    plane, user = installed, f"a-{role}"
    plane.kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", "default")

    def can(verb: str, resource: str) -> bool:
        asked = plane.kubectl(
            "auth", "can-i", verb, f"{resource}.operator.kairos.io", f"--as={user}", check=False
        )
        return asked.stdout.strip() == "yes"

    for resource in ("nodeops", "nodeopupgrades"):
        assert eventually(lambda resource=resource: can("get", resource), 20.0)  # type: ignore[misc]
        assert [verb for verb in may if not can(verb, resource)] == []
        assert [verb for verb in may_not if can(verb, resource)] == []


def test_the_installer_is_the_installation_with_one_image(control_plane_assets: Path, tmp_path: Path) -> None:
    output = tmp_path / "install.yaml"
    digest = "sha256:" + "0" * 64

    def build(image: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["python", str(ROOT / "hack" / "build_installer.py"), f"--image={image}", f"--output={output}"],
            env={"PATH": str(control_plane_assets) + ":" + _path()},
            capture_output=True,
            text=True,
            check=False,
        )

    for image in ("registry.example.com:5000/kairos/op:v9", f"op@{digest}"):
        assert build(image).stdout.strip() == str(output)
        text = output.read_text()
        assert text.count(f"{image}\n") == 3, "operator, labeler, and what reboot pods run"
        assert "operator-py" not in text
    first = output.read_text()
    build(f"op@{digest}")
    assert output.read_text() == first
    bad = build("op")
    assert (bad.returncode, "no image reference with a tag" in bad.stderr) == (1, True)


def _path() -> str:
    import os
    import sys

    return str(Path(sys.executable).parent) + ":" + os.environ["PATH"]
