"""An older installation becomes today's by applying it, and applying again leaves alone what the operator wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.controlplane import ControlPlane, Options
from tests.config.installation import CONFIG, WEBHOOK_CONFIGURATIONS, Installation, remove, rendered
from tests.config.test_install import everything

pytestmark = [pytest.mark.realcluster, pytest.mark.slow]
DEFAULT = str(CONFIG / "default")
OLDER = Path(__file__).parent / "older.yaml"
SERVER, CLIENT = "--server-side", "--server-side=false"


@pytest.fixture(scope="module")
def plane(control_plane_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster in which every test leaves nothing."""
    with ControlPlane(control_plane_assets, tmp_path_factory.mktemp("older"), Options()) as plane:
        yield plane


def names(manifests: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """What the manifests make, by kind, namespace and name."""
    return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in manifests}


def test_nothing_that_was_once_installed_is_left_behind_by_an_upgrade(control_plane_assets: Path) -> None:
    older = list(yaml.safe_load_all(OLDER.read_text()))
    assert len(older) > 20
    assert names(older) - names(rendered(control_plane_assets / "kubectl", "default")) == set()


@pytest.mark.parametrize(("before", "after"), [(SERVER, SERVER), (CLIENT, CLIENT)])
def test_an_older_installation_is_upgraded_in_place(plane: ControlPlane, before: str, after: str) -> None:
    untouched = everything(plane)
    plane.kubectl("apply", before, "-f", str(OLDER))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for kind in WEBHOOK_CONFIGURATIONS:
        plane.kubectl("delete", kind, "--all")  # no operator runs here to answer them
    made = plane.kubectl("create", "-f", "-", "-o", "name", stdin=json.dumps(operation()))
    name = made.stdout.strip()
    started = {"status": {"phase": "Running", "nodeStatuses": {"n1": {"phase": "Running"}}}}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps(started))
    plane.kubectl("patch", name, *patch)
    was = plane.read(name)
    plane.kubectl("apply", after, "-k", DEFAULT)
    plane.kubectl("apply", after, "-k", DEFAULT)
    assert plane.kubectl("diff", after, "-k", DEFAULT, check=False).stdout == ""
    deployment = plane.read("deployment", "kairos-operator", "-n", "kairos-operator-system")
    fresh = next(one for one in rendered(plane.kubectl_path, "default") if one["kind"] == "Deployment")
    (is_there,), (is_shipped,) = (containers(one) for one in (deployment, fresh))
    assert is_there["args"] == is_shipped["args"], "no argument of the older one is left"
    now = plane.read(name)
    assert (now["spec"], now["metadata"]["uid"]) == (was["spec"], was["metadata"]["uid"])
    assert now["status"]["nodeStatuses"]["n1"]["phase"] == "Running", "what was under way goes on"
    remove(plane, DEFAULT)
    assert everything(plane) == untouched


def operation() -> dict[str, Any]:
    """A NodeOp."""
    return {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": "NodeOp",
        "metadata": {"name": "under-way", "namespace": "default"},
        "spec": {"command": ["true"], "image": "busybox:1"},
    }


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a Deployment's pods."""
    found: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return found


# The ports of the webhooks were made to mean this machine: that is what the conflicts are about.
@pytest.mark.parametrize("how", [(SERVER, "--force-conflicts"), (CLIENT,)])
def test_applying_again_leaves_the_certificate_that_the_operator_gave_to_the_webhooks(
    own_control_plane: ControlPlane, tmp_path: Path, how: tuple[str, ...]
) -> None:
    plane = own_control_plane
    installation = Installation(plane, tmp_path)
    try:
        installation.start()

        def bundles() -> list[str]:
            found = [plane.read(kind)["items"][0]["webhooks"] for kind in WEBHOOK_CONFIGURATIONS]
            return [hook["clientConfig"].get("caBundle", "") for hooks in found for hook in hooks]

        before = bundles()
        assert all(before)
        plane.kubectl("apply", *how, "-f", str(CONFIG / "webhook" / "manifests.yaml"))
        assert bundles() == before
    finally:
        installation.stop()
