"""What no other test would miss: times that only a node has, and words that every stub takes for any others."""

from __future__ import annotations

from importlib.util import find_spec

from kairos_operator.api.names import Role
from kairos_operator.core.manifests import reboot_pod
from kairos_operator.reboot import host
from kairos_operator.reboot.settings import settings_from
from tests.core.world import node, op, snapshot

NAMES = {"POD_NAME": "p", "POD_NAMESPACE": "n", "JOB_NAME": "j", "KAIROS_API_URL": "https://localhost"}


def test_the_job_has_time_to_be_complete_before_its_node_goes_down() -> None:
    assert settings_from(NAMES).delay == 5.0


def test_the_node_reboots_in_order() -> None:
    """With `-f` nothing is ended or written first."""
    assert host.REBOOT == ("nsenter", "-t", "1", "-m", "--", "reboot")


def test_the_pod_runs_this_program() -> None:
    body = reboot_pod(snapshot(op(reboot_on_success=True), node()), "n1")
    (container,) = body["spec"]["containers"]
    python, module, name = container["command"]
    assert (container["name"], python, module) == (Role.REBOOT.value, "python3", "-m")
    assert find_spec(f"{name}.__main__") is not None
