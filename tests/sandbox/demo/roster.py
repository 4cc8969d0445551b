"""The fleet of the demo: which nodes there are, what they run, and in which order they are due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.fleet import NodeSpec, Outcome, Reboot, Release, Rule, release_of_image

MANIFEST = Path(__file__).with_name("upgrade.yaml")
OLD = Release("v3.4.0", "k3s", "v1.30.8-k3s1")
CONTROL_PLANE = "cp-1"
SERVES = Rule(Outcome(hangs=True), image="nginx:*")  # a workload runs until it is told to end


def names(count: int) -> list[str]:
    """The nodes in the order in which the operator has to start them: the control plane, then by name."""
    workers = sorted(f"worker-{number}" for number in range(1, count))
    return [CONTROL_PLANE, *workers]


def up_to_date(count: int) -> str:
    """The node that runs the new version already: one in the middle of the workers."""
    return f"worker-{count // 2}"


def manifest() -> dict[str, Any]:
    """The NodeOpUpgrade as its file says it."""
    body = yaml.safe_load(MANIFEST.read_text())
    assert isinstance(body, dict)
    return body


def target() -> Release:
    """The release in the image of the manifest."""
    found = release_of_image(manifest()["spec"]["image"])
    assert found is not None
    return found


def specs(count: int, fail: str) -> list[NodeSpec]:
    """The simulated nodes; `fail` boots its old system again when it is rebooted."""
    return [
        NodeSpec(
            name,
            release=target() if name == up_to_date(count) else OLD,
            control_plane=name == CONTROL_PLANE,
            reboot=Reboot(falls_back=name == fail),
            rules=(SERVES,),
        )
        for name in names(count)
    ]
