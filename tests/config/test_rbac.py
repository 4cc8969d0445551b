"""The shipped rights are enough for everything that the operator does, and none is too many.

One scenario is played under the shipped ServiceAccount on an API server with RBAC and an audit log. A right that it
does not use must stand in INDIRECT, with a test of its own that shows what happens without it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.config.audit import Request, Right, granted
from tests.config.installation import ACCOUNT, NAMESPACE, Installation, audited_plane, eventually, rendered
from tests.config.scenario import Scenario, peak_memory

pytestmark = [pytest.mark.realcluster, pytest.mark.slow]
KAIROS = "operator.kairos.io"
INDIRECT = {
    Right("", "pods", "patch"),  # nobody may grant, to a reboot pod, what they do not have
    Right(KAIROS, "nodeops/finalizers", "update"),  # OwnerReferencesPermissionEnforcement
    Right(KAIROS, "nodeopupgrades/finalizers", "update"),
}


@dataclass(frozen=True, slots=True)
class Played:
    """What is left to look at after the scenario."""

    installation: Installation
    requests: list[Request]
    refusals: list[str]
    peak: int


@pytest.fixture(scope="module")
def played(control_plane_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The scenario has been played; the control plane still runs, the operator does not."""
    work_dir = tmp_path_factory.mktemp("installation")
    with audited_plane(control_plane_assets, work_dir) as plane:
        installation = Installation(plane, work_dir)
        try:
            installation.start()
            asyncio.run(Scenario(installation).play())
            refusals, peak = installation.refusals(), peak_memory(installation.pid)
            installation.stop()
            yield Played(installation, installation.requests(), refusals, peak)
        finally:
            installation.kill()


def shipped(assets: Path) -> set[Right]:
    """What the operator's account is granted by the shipped manifests."""
    return granted(rendered(assets / "kubectl", "default"), ACCOUNT)


def test_nothing_was_refused(played: Played) -> None:
    assert played.refusals == []
    assert [one for one in played.requests if one.code in (401, 403)] == []


def test_every_right_is_used(played: Played, control_plane_assets: Path) -> None:
    used = {one.right for one in played.requests}
    rights = shipped(control_plane_assets)
    unused = {right for right in rights if not any(right.covers(one) for one in used)}
    assert sorted(unused - INDIRECT) == []
    assert sorted(INDIRECT - unused) == [], "used after all: no longer indirect"


def test_every_request_had_its_right(played: Played, control_plane_assets: Path) -> None:
    rights = shipped(control_plane_assets)
    loose = {one.right for one in played.requests if not any(right.covers(one.right) for right in rights)}
    assert sorted(loose) == []


def test_no_right_is_a_wildcard_or_reads_secrets_of_others(control_plane_assets: Path) -> None:
    rights = shipped(control_plane_assets)
    assert not [right for right in rights if "*" in (right.group, right.resource, right.verb)]
    secrets = {right for right in rights if right.resource == "secrets"}
    assert {right.namespace for right in secrets} == {NAMESPACE}
    assert {right.verb for right in secrets if not right.name} == {"create"}
    assert not [right for right in rights if right.verb in ("bind", "escalate", "impersonate")]
    # Of pods it is no more than list and delete are.
    assert {right.resource for right in rights if right.verb == "deletecollection"} == {"pods"}


def test_the_lease_was_given_back(played: Played) -> None:
    leases = played.installation.plane.read("leases", "-n", NAMESPACE)["items"]
    assert [lease["spec"]["holderIdentity"] for lease in leases] == [""]


def test_the_memory_request_is_enough_for_a_small_fleet(played: Played) -> None:
    deployment = played.installation.plane.read("deployment", "kairos-operator", "-n", NAMESPACE)
    requested = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]
    assert requested.endswith("Mi")
    assert played.peak < int(requested.removesuffix("Mi")) * 2**20


def attempt(played: Played, body: dict[str, Any]) -> str:
    """What the API server says to the operator's account about creating an object; "" where it would."""
    plane = played.installation.plane
    command = [
        str(plane.kubectl_path),
        f"--kubeconfig={played.installation.work_dir / 'operator.kubeconfig'}",
        "create",
        "--dry-run=server",
        "-f",
        "-",
    ]
    done = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=False)
    return done.stderr


def refused(played: Played, body: dict[str, Any], said: str) -> bool:
    """Whether creating it is refused with those words."""
    return said in attempt(played, body)


def without(played: Played, right: Right) -> None:
    """Takes one right out of the operator's ClusterRole."""
    role = played.installation.plane.read("clusterrole", "kairos-operator")
    rules = []
    for rule in role["rules"]:
        if right.group in rule["apiGroups"] and right.resource in rule["resources"]:
            others = [verb for verb in rule["verbs"] if verb != right.verb]
            siblings = [one for one in rule["resources"] if one != right.resource]
            rules += [rule | {"resources": [right.resource], "verbs": others}] if others else []
            rules += [rule | {"resources": siblings}] if siblings else []
        else:
            rules.append(rule)
    change = json.dumps({"rules": rules})
    played.installation.plane.kubectl("patch", "clusterrole", "kairos-operator", "--type=merge", "-p", change)


def child_of(owner: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The body with the owner reference that the operator gives to its children."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    body["metadata"] |= {"namespace": "default", "ownerReferences": [reference]}
    return body


def role_for_a_pod() -> dict[str, Any]:
    """A Role as a reboot pod gets it."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reboot"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"], "verbs": ["get", "patch"]}
        ],
    }


def test_each_indirect_right_is_needed(played: Played) -> None:
    plane = played.installation.plane
    node_op = plane.read("nodeop", "lost")
    upgrade = plane.read("nodeopupgrade", "upgrade")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reboot"}}
    job = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "child"},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    cases = {
        Right("", "pods", "patch"): (role_for_a_pod(), "attempting to grant RBAC permissions"),
        Right(KAIROS, "nodeops/finalizers", "update"): (child_of(node_op, account), "blockOwnerDeletion"),
        Right(KAIROS, "nodeopupgrades/finalizers", "update"): (child_of(upgrade, job), "blockOwnerDeletion"),
    }
    assert set(cases) == INDIRECT
    for right, (body, said) in cases.items():
        assert attempt(played, body) == "", right
        without(played, right)
        assert eventually(partial(refused, played, body, said), 20.0), right


def test_a_wider_role_cannot_be_granted(played: Played) -> None:
    wide = role_for_a_pod()
    wide["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    assert "attempting to grant RBAC permissions" in attempt(played, wide)
