"""Registered webhooks that nobody answers: only new operations and changes of a spec have to wait for them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.cluster.controlplane import Cluster
from tests.sandbox.demo.children import free_ports
from tests.webhooks.real import NAMES, SETTLING, Admission, with_crds
from tests.webhooks.test_real_admission import node_op, upgrade
from webhooks.configurations import by_url, mutating_configuration, validating_configuration
from webhooks.keys import mint

pytestmark = pytest.mark.realcluster
KINDS = {"nodeop": node_op, "nodeopupgrade": upgrade}
FAILED_CALL = "failed calling webhook"


@pytest.fixture(scope="module")
def admission(real_control_plane: Cluster) -> Iterator[Admission]:
    """Objects of both kinds that were made before the webhooks went away, one of them started."""
    with with_crds(real_control_plane, "admission-down") as found:
        for kind, make in KINDS.items():
            for name in ("waiting", "started"):
                found.must("apply", "-f", "-", obj=make(name, concurrency=1))
            found.set_phase(kind, "started", "Running")
        (port,) = free_ports(1)
        ca = base64.b64encode(mint(["localhost"], datetime.now(UTC)).ca).decode()
        nobody = by_url(f"https://localhost:{port}", ca)
        m, v = NAMES.values()
        real_control_plane.apply(mutating_configuration(m, nobody), validating_configuration(v, nobody))
        try:
            _until_registered(found)
            yield found
        finally:
            for kind, name in NAMES.items():
                real_control_plane.kubectl("delete", kind, name)


def _until_registered(found: Admission) -> None:
    end = time.monotonic() + SETTLING
    while not all(
        FAILED_CALL in found.run("create", "--dry-run=server", "-f", "-", obj=make("probe")).stderr
        for make in KINDS.values()
    ):
        assert time.monotonic() < end, "the API server does not call the webhooks"


@pytest.mark.parametrize("kind", KINDS)
def test_new_operations_and_corrections_wait(admission: Admission, kind: str) -> None:
    assert FAILED_CALL in admission.refusal("create", "-f", "-", obj=KINDS[kind]("new"))
    patch = '{"spec": {"concurrency": 2}}'
    assert FAILED_CALL in admission.refusal("patch", kind, "waiting", "--type=merge", "-p", patch)


@pytest.mark.parametrize("name", ["waiting", "started"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_leaves_the_spec_alone_goes_on(admission: Admission, kind: str, name: str) -> None:
    """Among it all that the operator writes to operations that exist, so rollouts go on."""
    manifest = KINDS[kind](name, concurrency=1)
    admission.must("apply", "-f", "-", obj=manifest)
    admission.must("replace", "-f", "-", obj=manifest)
    admission.must("label", kind, name, "team=a", "--overwrite")
    admission.must("annotate", kind, name, "operator.kairos.io/paused=true", "--overwrite")
    for finalizers in (["operator.kairos.io/cordons"], []):
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        admission.must("patch", kind, name, "--type=merge", "-p", patch)
    admission.set_phase(kind, name, "Running")


def test_other_kinds_are_not_concerned(admission: Admission) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}
    admission.must("create", "-f", "-", obj=config_map)


@pytest.mark.parametrize("kind", KINDS)
def test_operations_can_be_deleted(admission: Admission, kind: str) -> None:
    admission.must("apply", "-f", "-", obj=KINDS[kind]("started", concurrency=1))
    admission.must("delete", kind, "started", "--timeout=20s")
