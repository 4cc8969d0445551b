"""A pod's status as the kubelet writes it: phase, conditions and the state of each container.

Rule: conditions of others (the scheduler's, an eviction's) are kept as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sandbox.fleet.clock import stamp

if TYPE_CHECKING:
    from tests.sandbox.fleet.podrun import PodRun

OURS = ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")


def pod_status(run: PodRun) -> dict[str, Any]:
    """The whole status, for a merge patch."""
    started = stamp(run.started_at)
    status: dict[str, Any] = {
        "phase": run.phase,
        "startTime": started,
        "conditions": _conditions(run, started),
        "containerStatuses": [one.status() for one in run.containers if not one.init],
        "reason": run.reason or None,
        "message": run.message or None,
    }
    inits = [one.status() for one in run.containers if one.init]
    if inits:
        status["initContainerStatuses"] = inits
    return status


def _conditions(run: PodRun, started: str) -> list[dict[str, Any]]:
    mains = [one for one in run.containers if not one.init]
    initialized = all(one.succeeded for one in run.containers if one.init)
    ready = not run.final and initialized and all(one.running for one in mains)
    held = {
        "PodScheduled": True,
        "PodReadyToStartContainers": not run.final,
        "Initialized": initialized,
        "ContainersReady": ready,
        "Ready": ready,
    }
    before = {one["type"]: one for one in (run.pod.get("status") or {}).get("conditions") or ()}
    others = [one for kind, one in before.items() if kind not in OURS]
    ours = []
    for kind in OURS:
        condition = {"type": kind, "status": str(held[kind]), "lastTransitionTime": started}
        if run.phase == "Succeeded" and kind not in ("PodScheduled", "PodReadyToStartContainers"):
            condition["reason"] = "PodCompleted"
        ours.append(condition)
    return [*others, *ours]
