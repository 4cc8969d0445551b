"""Operations, nodes and pods as values, for tests that need no cluster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kairos_operator.api.base import timestamp
from kairos_operator.api.cluster import NodeView, PodView
from kairos_operator.api.objects import Owner
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.cli.operations import Operation, parse_operation

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
IMAGE = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.5.0-k3sv1.33.1-k3s1"


def ago(seconds: float) -> str:
    """The time so many seconds before NOW, as the API writes it."""
    return timestamp(NOW - timedelta(seconds=seconds))


def waiting() -> dict[str, Any]:
    return {"phase": "Pending", "step": "Waiting"}


def flying(
    step: str, since: float = 10, began: float | None = None, message: str = "", **more: Any
) -> dict[str, Any]:
    """A node in flight: in its step for `since` seconds, with its slot for `began`."""
    times = {"startedAt": ago(since if began is None else began), "stepStartedAt": ago(since)}
    return {"phase": "Running", "step": step, "message": message, **times, **more}


def done(took: float, ended: float = 100, outcome: str = "Completed", message: str = "") -> dict[str, Any]:
    """A node that ended so long ago, after so many seconds."""
    times = {"startedAt": ago(ended + took), "stepStartedAt": ago(ended)}
    phase = "Failed" if outcome == "Failed" else "Completed"
    return {"phase": phase, "step": "Done", "outcome": outcome, "message": message, **times}


def operation(
    nodes: dict[str, Any] | None = None,
    phase: str | None = "Running",
    *,
    resource: Resource = NODE_OP_UPGRADES,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Operation:
    """An operation, by default an upgrade under way."""
    needed = {"command": ["true"]} if resource == NODE_OPS else {"image": IMAGE}
    told = {
        "nodeStatuses": nodes,
        "phase": phase,
        "startedAt": ago(600),
        "lastUpdated": ago(5),
        **(status or {}),
    }
    return parse_operation(
        {
            "kind": resource.kind,
            "metadata": {
                "name": "op",
                "namespace": "default",
                "uid": "u-1",
                "creationTimestamp": ago(601),
                **(metadata or {}),
            },
            "spec": {**needed, **spec},
            "status": {name: value for name, value in told.items() if value is not None} if phase else {},
        }
    )


def node(name: str, *, control_plane: bool = False, ready: bool = True, **more: Any) -> NodeView:
    """A Node, Ready unless it is said not to be."""
    labels = {"node-role.kubernetes.io/control-plane": ""} if control_plane else {}
    return NodeView(name=name, uid=f"uid-{name}", resource_version="1", labels=labels, ready=ready, **more)


def pod(name: str, on: str, *, owner: str = "ReplicaSet", namespace: str = "shop", **more: Any) -> PodView:
    """A running pod, by default of a ReplicaSet."""
    controller = Owner(owner, "owner", "owner-uid") if owner else None
    labels = more.pop("labels", {"app": "web"})
    phase = more.pop("phase", "Running")
    return PodView(
        name=name,
        namespace=namespace,
        uid=f"uid-{name}",
        node=on,
        owner=controller,
        labels=labels,
        phase=phase,
        **more,
    )
