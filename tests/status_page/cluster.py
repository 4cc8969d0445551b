"""Caches with operations in them, as a reflector would fill them, and the page served over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.health import serving
from kairos_operator.status_page.app import status_app

IMAGE = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1"


def node(step: str, phase: str, message: str = "", minutes: float = 1.0, outcome: str = "") -> dict[str, Any]:
    """A node's entry, in its step since so many minutes."""
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    found = {"step": step, "phase": phase, "stepStartedAt": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {**found, **({"message": message} if message else {}), **({"outcome": outcome} if outcome else {})}


def done(message: str = "Rebooted and verified by postflight", outcome: str = "Completed") -> dict[str, Any]:
    """The entry of a node that is done."""
    return node("Done", "Failed" if outcome == "Failed" else "Completed", message, outcome=outcome)


def standing_still(text: str) -> dict[str, Any]:
    """The condition of an operation whose drain is blocked."""
    times = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"type": "DrainBlocked", "status": "True", "reason": "EvictionRefused", "message": text, **times}


class Cluster:
    """What the operator's caches have seen."""

    def __init__(self) -> None:
        self.caches = Caches.empty()
        self._versions: Iterator[int] = count(1)

    def upgrade(self, name: str, phase: str, message: str, nodes: dict[str, Any], **more: Any) -> None:
        """A NodeOpUpgrade is there, or has changed."""
        self.caches.upgrades.observed(self._object(name, {"image": IMAGE}, phase, message, nodes, more))

    def node_op(self, name: str, phase: str, message: str, nodes: dict[str, Any], **more: Any) -> None:
        """A NodeOp is there, or has changed."""
        spec = {"command": ["sh", "-c", "echo secret"], "image": "busybox:1.36.1"}
        self.caches.node_ops.observed(self._object(name, spec, phase, message, nodes, more))

    def delete_upgrade(self, name: str) -> None:
        """A NodeOpUpgrade is no more."""
        self.caches.upgrades.forget(name, "kairos-operations", uid=name)

    def page(self, port: int = 0) -> AbstractAsyncContextManager[int]:
        """The page, served on loopback."""
        return serving(status_app(self.caches, own_host_only=True), "127.0.0.1", port)

    def _object(
        self,
        name: str,
        spec: dict[str, Any],
        phase: str,
        message: str,
        nodes: dict[str, Any],
        more: dict[str, Any],
    ) -> dict[str, Any]:
        minutes, metadata = more.pop("minutes", 10), more.pop("metadata", {})
        began = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        final = {"completedAt": now} if phase in ("Completed", "Failed") else {}
        return {
            "metadata": {
                "name": name,
                "namespace": "kairos-operations",
                "uid": name,
                "resourceVersion": str(next(self._versions)),
                "creationTimestamp": began,
                **metadata,
            },
            "spec": spec,
            "status": {
                "phase": phase,
                "message": message,
                "nodeStatuses": nodes,
                "startedAt": began,
                **final,
                **more,
            },
        }


def busy(cluster: Cluster) -> None:  # long: one operation after another
    """An upgrade of twelve nodes in its middle, one that failed and one that is done."""
    workers = {f"worker-{number}": node("Waiting", "Pending") for number in range(5, 10)}
    blocked = (
        "Draining: shop/web-7d9c cannot be evicted: the disruption budget web needs 2 healthy pods and has 2"
    )
    cluster.upgrade(
        "upgrade-v3.4.2",
        "Running",
        "5 of 12 nodes are done (1 skipped), 2 in flight",
        {
            "control-plane-1": done(),
            "control-plane-2": done(),
            "control-plane-3": done("Skipped by preflight: node is already at v3.4.2-k3sv1.30.11", "Skipped"),
            "worker-1": done(),
            "worker-2": done(),
            "worker-3": node("Reboot", "Running", "Rebooting: the node is down", 1.4),
            "worker-4": node("Drain", "Running", blocked, 3),
            **workers,
        },
        minutes=31,
        conditions=[
            standing_still(
                "shop/web-7d9c on worker-4: the disruption budget web needs 2 healthy pods and has 2"
            )
        ],
    )
    failed = done("Postflight failed: node came back with v3.4.1-k3sv1.30.11, the image is v3.4.2", "Failed")
    cluster.upgrade(
        "canary-v3.4.2",
        "Failed",
        "1 of 3 nodes are done; failed: edge-2; 1 not started",
        {"edge-1": done(), "edge-2": failed, "edge-3": node("Waiting", "Pending")},
        minutes=300,
    )
    cluster.node_op(
        "ntp-config-x7k2p",
        "Completed",
        "All 12 nodes are done",
        {f"worker-{number}": done("The command succeeded") for number in range(1, 10)}
        | {f"control-plane-{number}": done("The command succeeded") for number in range(1, 4)},
        minutes=1500,
    )
