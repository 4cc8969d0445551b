"""Narrow views of Nodes, Pods and Jobs: only what decisions need, so that a cache of thousands stays small.

Parsing reads what kubelets and controllers write and trusts no optional field to be there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from kairos_operator.api.base import moment
from kairos_operator.api.names import (
    ANNOTATION_CLAIMED_BY,
    ANNOTATION_CORDONED_BY,
    ANNOTATION_NODE,
    ANNOTATION_NODE_OP,
    ANNOTATION_REBOOT_BOOT_ID,
    ANNOTATION_REBOOT_STATE,
    CONTROL_PLANE_LABELS,
    LABEL_NODE,
    LABEL_NODE_OP,
    ROLE_LABELS,
)
from kairos_operator.api.objects import Owner, parse_owner

# Reasons of a waiting container that only say that all is going its way.
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_ROLES_ALONE: dict[tuple[str, ...], dict[str, str]] = {}  # one dict for all pods of a role
MIRROR = "kubernetes.io/config.mirror"  # the annotation of static pods


@dataclass(frozen=True, slots=True)
class NodeView:
    """A Node as decisions see it."""

    name: str
    uid: str
    resource_version: str = field(compare=False)  # news of nothing else is no news
    labels: Mapping[str, str]
    unschedulable: bool = False
    ready: bool = False
    ready_since: datetime | None = None  # when `ready` last changed
    ready_reason: str = ""
    boot_id: str = ""
    cordoned_by: str = ""
    claimed_by: str = ""
    deleting: bool = False

    @property
    def control_plane(self) -> bool:
        """Whether the node carries a control-plane role label."""
        return any(label in self.labels for label in CONTROL_PLANE_LABELS)


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job as decisions see it."""

    name: str
    namespace: str
    uid: str
    owner: Owner | None
    node_op: str = ""
    node: str = ""
    complete: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""
    attempts: int = 0  # pods that failed so far
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod, init containers included."""

    name: str
    waiting: str = ""  # reason and message of what keeps it from starting, where that is trouble
    exit_code: int | None = None  # of the current or, while it restarts, the last run
    reason: str = ""
    message: str = ""  # what it wrote to its termination log
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class PodView:
    """A Pod as decisions see it."""

    name: str
    namespace: str
    uid: str
    node: str = ""
    owner: Owner | None = None
    node_op: str = ""
    labels: Mapping[str, str] | None = None
    phase: str = ""
    reason: str = ""
    message: str = ""
    containers: tuple[ContainerView, ...] = ()
    reboot_state: str = ""
    reboot_boot_id: str = ""
    mirror: bool = False
    empty_dir: bool = False
    deleting_since: datetime | None = None
    operation_node: str = ""  # the node that an operation's pod is for, by its annotation

    @property
    def finished(self) -> bool:
        """Whether all its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def succeeded(self) -> bool:
        """Whether all its containers have ended well, for good."""
        return self.phase == "Succeeded"

    @property
    def path(self) -> str:
        """The pod as users write it: `<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    @property
    def rebooted(self) -> bool:
        """Whether the reboot pod says that it has told the node to reboot, which it does once the command succeeded."""
        return self.reboot_state == "completed"

    @property
    def termination_message(self) -> str:
        """What the pod's containers wrote to their termination logs."""
        return "; ".join(container.message for container in self.containers if container.message)


def parse_node(obj: Mapping[str, Any]) -> NodeView:
    """The view of a v1 Node."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    ready: Mapping[str, Any] = next(
        (c for c in status.get("conditions") or () if c.get("type") == "Ready"), {}
    )
    labels = metadata.get("labels") or {}
    return NodeView(
        name=sys.intern(metadata["name"]),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        labels=_shared(labels),
        unschedulable=bool((obj.get("spec") or {}).get("unschedulable")),
        ready=ready.get("status") == "True",
        ready_since=moment(ready.get("lastTransitionTime")),
        ready_reason=sys.intern(ready.get("message") or ready.get("reason") or ""),
        boot_id=(status.get("nodeInfo") or {}).get("bootID", ""),
        cordoned_by=annotations.get(ANNOTATION_CORDONED_BY, ""),
        claimed_by=annotations.get(ANNOTATION_CLAIMED_BY, ""),
        deleting="deletionTimestamp" in metadata,
    )


def parse_job(obj: Mapping[str, Any]) -> JobView:
    """The view of a batch/v1 Job."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    true = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    failed = true.get("Failed", {})
    return JobView(
        name=metadata["name"],
        namespace=sys.intern(metadata.get("namespace", "")),
        uid=metadata.get("uid", ""),
        owner=parse_owner(metadata),
        node_op=sys.intern(annotations.get(ANNOTATION_NODE_OP) or labels.get(LABEL_NODE_OP, "")),
        node=sys.intern(annotations.get(ANNOTATION_NODE) or labels.get(LABEL_NODE, "")),
        complete="Complete" in true,
        failed="Failed" in true,
        reason=failed.get("reason", ""),
        message=failed.get("message", ""),
        attempts=status.get("failed") or 0,
        deleting="deletionTimestamp" in metadata,
    )


def parse_pod(obj: Mapping[str, Any]) -> PodView:
    """The view of a v1 Pod."""
    return _pod(obj, _shared(obj["metadata"].get("labels") or {}))


def parse_child(obj: Mapping[str, Any]) -> PodView:
    """The view of an operation's own pod, of whose labels only those are kept that tell its role."""
    labels = obj["metadata"].get("labels") or {}
    roles = tuple(label for label in ROLE_LABELS.values() if label in labels)
    return _pod(obj, _ROLES_ALONE.setdefault(roles, dict.fromkeys(roles, "true")))


def _pod(obj: Mapping[str, Any], labels: Mapping[str, str]) -> PodView:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return PodView(
        name=metadata["name"],
        namespace=sys.intern(metadata.get("namespace", "")),
        uid=metadata.get("uid", ""),
        node=sys.intern(spec.get("nodeName", "")),
        owner=parse_owner(metadata),
        node_op=sys.intern(annotations.get(ANNOTATION_NODE_OP) or _label(metadata, LABEL_NODE_OP)),
        labels=labels,
        phase=sys.intern(status.get("phase", "")),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        containers=tuple(_container(one) for one in statuses),
        reboot_state=annotations.get(ANNOTATION_REBOOT_STATE, ""),
        reboot_boot_id=annotations.get(ANNOTATION_REBOOT_BOOT_ID, ""),
        mirror=MIRROR in annotations,
        empty_dir=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
        deleting_since=moment(metadata.get("deletionTimestamp")),
        operation_node=sys.intern(annotations.get(ANNOTATION_NODE, "")),
    )


def _label(metadata: Mapping[str, Any], name: str) -> str:
    found: str = (metadata.get("labels") or {}).get(name, "")
    return found


def _shared(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels whose texts are kept once, however many objects have them."""
    return {sys.intern(key): sys.intern(value) for key, value in labels.items()}


def _container(status: Mapping[str, Any]) -> ContainerView:
    state = status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    waiting = state.get("waiting") or {}
    trouble = waiting.get("reason", "") not in _STARTING
    words = [waiting.get("reason", ""), waiting.get("message", "")] if trouble else []
    return _container_once(
        name=status.get("name", ""),
        waiting=": ".join(word for word in words if word),
        exit_code=ended.get("exitCode"),
        reason=ended.get("reason", ""),
        message=(ended.get("message") or "").strip(),
        restarts=status.get("restartCount") or 0,
    )


_container_once = lru_cache(maxsize=1024)(ContainerView)  # most containers of thousands of pods end alike
