"""Whole rollouts, told as stories that a reviewer reads like a chat; `KAIROS_UPDATE_STORIES=1` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kairos_operator.api.objects import Owner
from kairos_operator.api.status import Phase
from tests.core.cluster import Check
from tests.core.rollout import Rollout
from tests.core.world import control_plane, node, pod, upgrade

STORIES = Path(__file__).parent / "stories"


def _cluster() -> Rollout:
    """The example of the documentation: a canary upgrade of three nodes, control plane first."""
    names = [node("a-worker"), control_plane("m-master"), node("b-worker")]
    spec: dict[str, Any] = {"concurrency": 1, "stop_on_failure": True}
    return Rollout.of_upgrade(upgrade(**spec), *names)


def _canary() -> Rollout:
    rollout = _cluster()
    rollout.checks["preflight", "b-worker"] = Check("node is already at v3.4.2-k3sv1.30.11-k3s1")
    rollout.run()
    assert rollout.phase is Phase.COMPLETED
    assert rollout.up is not None
    assert rollout.up.status.phase is Phase.COMPLETED
    assert not any(one.unschedulable or one.claimed_by for one in rollout.nodes.values())
    return rollout


def _failing_canary() -> Rollout:
    rollout = _cluster()
    rollout.checks["postflight", "a-worker"] = Check("node booted its passive system", fails=True)
    rollout.run()
    assert rollout.phase is Phase.FAILED
    assert rollout.nodes["b-worker"].boot_id == "b-worker-boot-1"
    assert rollout.nodes["a-worker"].unschedulable
    return rollout


def _blocked_drain() -> Rollout:
    rollout = _cluster()
    del rollout.nodes["m-master"], rollout.nodes["b-worker"]
    rollout.pods["shop/web-1"] = pod("web-1", namespace="shop", node="a-worker")
    rollout.pods["shop/log-1"] = pod(
        "log-1", namespace="shop", node="a-worker", owner=Owner("DaemonSet", "log", "u")
    )
    rollout.budgets["shop/web-1"] = "The disruption budget web needs 2 healthy pods and has 2 currently"
    rollout.tick(4)
    assert "disruption budget web" in rollout.message("a-worker")
    rollout.budgets.clear()
    return rollout.run()


@pytest.mark.parametrize(
    "tell",
    [
        pytest.param(_canary, id="canary-upgrade-of-three-nodes"),
        pytest.param(_failing_canary, id="canary-stops-at-its-second-node"),
        pytest.param(_blocked_drain, id="drain-blocked-by-a-budget-then-freed"),
    ],
)
def test_the_story_is_as_it_was_told(tell: Callable[[], Rollout], request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    path = STORIES / f"{name}.txt"
    story = "\n".join(tell().story) + "\n"
    if os.environ.get("KAIROS_UPDATE_STORIES"):
        path.write_text(story, encoding="utf-8")
    assert story == path.read_text(encoding="utf-8")
