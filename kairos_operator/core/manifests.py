"""The bodies of an operation's children, over one skeleton.

Every pod names its node in `spec.nodeName` and tolerates every taint, so that neither the scheduler nor the taint
manager has a say while the node is away (kairos-io/kairos#4362: a reboot of more than five minutes lost its pod).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kairos_operator.api.names import (
    ANNOTATION_NODE,
    ANNOTATION_NODE_OP,
    LABEL_NODE,
    LABEL_NODE_OP,
    ROLE_LABELS,
    Role,
    shortened,
)
from kairos_operator.api.nodeop import DEFAULT_IMAGE, NodeCheck
from kairos_operator.api.objects import owner_reference
from kairos_operator.api.resources import (
    JOBS,
    NODE_OPS,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Resource,
)
from kairos_operator.core.scripts import sentinel_command
from kairos_operator.core.snapshot import ChildKey, Snapshot, child

Body = dict[str, Any]

SENTINEL_DIRECTORY = "/usr/local/.kairos"  # persistent on Kairos, so that a sentinel outlives a reboot
_SENTINEL_MOUNT = {"name": "sentinel", "mountPath": "/sentinel"}
_SENTINEL_VOLUME = {
    "name": "sentinel",
    "hostPath": {"path": SENTINEL_DIRECTORY, "type": "DirectoryOrCreate"},
}
# Root by name: an image's own user may be another (the operator's is), and then even a privileged container has no
# capability in effect.
_PRIVILEGED_ROOT = {"privileged": True, "runAsUser": 0, "runAsGroup": 0}
_HOST_VOLUME = {"name": "host-root", "hostPath": {"path": "/", "type": "Directory"}}


def command_image(snapshot: Snapshot) -> str:
    """The image of the operation's command."""
    return snapshot.op.spec.image or snapshot.images.default or DEFAULT_IMAGE


def job(snapshot: Snapshot, node: str) -> Body:
    """The Job that runs the command on a node. With a reboot, the command is its init container, so that the Job
    is Complete (the sentinel written) before the node goes down, and never runs twice.
    """
    spec = snapshot.op.spec
    command = {
        "name": "nodeop",
        "image": command_image(snapshot),
        "command": list(spec.command),
        "env": [{"name": "HOST_DIR", "value": spec.host_mount_path}],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "host-root", "mountPath": spec.host_mount_path}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod: Body = {"restartPolicy": "Never", "volumes": [_HOST_VOLUME]}
    if spec.reboot_on_success:
        name = child(snapshot.op, ChildKey(Role.JOB, node))
        pod["initContainers"] = [command]
        pod["containers"] = [_sentinel_creator(snapshot, name)]
        pod["volumes"] = [_HOST_VOLUME, _SENTINEL_VOLUME]
    else:
        pod["containers"] = [command]
    body = _child(snapshot, JOBS, node, Role.JOB)
    metadata = {part: body["metadata"][part] for part in ("labels", "annotations")}
    body["spec"] = {
        "backoffLimit": spec.backoff_limit,
        "template": {"metadata": metadata, "spec": {**_pod_spec(snapshot, node), **pod}},
    }
    if spec.job_timeout_seconds is not None:
        body["spec"]["activeDeadlineSeconds"] = spec.job_timeout_seconds
    return body


def job_pod(snapshot: Snapshot, node: str) -> Body:
    """The pod that the Job controller would make of the Job on a node."""
    template = job(snapshot, node)["spec"]["template"]
    metadata = {**template["metadata"], "generateName": f"{child(snapshot.op, ChildKey(Role.JOB, node))}-"}
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "spec": template["spec"]}


def check_pod(snapshot: Snapshot, node: str, role: Role, check: NodeCheck) -> Body:
    """The pod of a preflight or postflight: not privileged, the host's root read-only."""
    mount = snapshot.op.spec.host_mount_path
    container = {
        "name": role.value,
        "image": check.image or command_image(snapshot),
        "command": list(check.command),
        "env": [{"name": "HOST_DIR", "value": mount}],
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            # Of /etc, /oem and whatever else is mounted below it too, where kubelet and runtime can do that.
            {"name": "host-root", "mountPath": mount, "readOnly": True, "recursiveReadOnly": "IfPossible"}
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    body = _child(snapshot, PODS, node, role)
    body["spec"] = {
        **_pod_spec(snapshot, node),
        # A preflight is tried again until its deadline; a postflight has one verdict, and the first is it.
        "restartPolicy": "OnFailure" if role is Role.PREFLIGHT else "Never",
        "activeDeadlineSeconds": check.active_deadline_seconds,
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [_HOST_VOLUME],
    }
    return body


def reboot_pod(snapshot: Snapshot, node: str) -> Body:
    """The pod that waits for the Job's sentinel file and then reboots the node (`kairos_operator.reboot`)."""
    name = child(snapshot.op, ChildKey(Role.REBOOT, node))
    environment = {
        "POD_NAME": name,
        "POD_NAMESPACE": snapshot.op.meta.namespace,
        "JOB_NAME": child(snapshot.op, ChildKey(Role.JOB, node)),
    }
    container = {
        "name": "reboot",
        "image": snapshot.images.operator,
        "command": ["python3", "-m", "kairos_operator.reboot"],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "securityContext": _PRIVILEGED_ROOT,
        "volumeMounts": [_SENTINEL_MOUNT],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    body = _child(snapshot, PODS, node, Role.REBOOT)
    body["spec"] = {
        **_pod_spec(snapshot, node),
        "automountServiceAccountToken": True,
        "serviceAccountName": name,
        "hostPID": True,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [_SENTINEL_VOLUME],
    }
    return body


def _account(snapshot: Snapshot, node: str) -> Body:
    body = _child(snapshot, SERVICE_ACCOUNTS, node, Role.REBOOT)
    body["automountServiceAccountToken"] = False
    return body


def _role(snapshot: Snapshot, node: str) -> Body:
    body = _child(snapshot, ROLES, node, Role.REBOOT)
    names = [body["metadata"]["name"]]
    body["rules"] = [
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": names, "verbs": ["get", "patch"]}
    ]
    return body


def _binding(snapshot: Snapshot, node: str) -> Body:
    body = _child(snapshot, ROLE_BINDINGS, node, Role.REBOOT)
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    body["roleRef"] = {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": name}
    body["subjects"] = [{"kind": SERVICE_ACCOUNTS.kind, "name": name, "namespace": namespace}]
    return body


REBOOT_RIGHTS: tuple[tuple[Resource, Callable[[Snapshot, str], Body]], ...] = (
    (SERVICE_ACCOUNTS, _account),
    (ROLES, _role),
    (ROLE_BINDINGS, _binding),
)
"""What lets a reboot pod get and patch itself, and nothing else: an account, a Role by name, their binding."""


def _child(snapshot: Snapshot, resource: Resource, node: str, role: Role) -> Body:
    """The skeleton of every child: its derived name, its labels, the long forms, and who owns it."""
    meta = snapshot.op.meta
    labels = {LABEL_NODE_OP: shortened(meta.name), LABEL_NODE: shortened(node)}
    if role in ROLE_LABELS:
        labels[ROLE_LABELS[role]] = "true"
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": child(snapshot.op, ChildKey(role, node)),
            "namespace": meta.namespace,
            "labels": labels,
            "annotations": {ANNOTATION_NODE_OP: meta.name, ANNOTATION_NODE: node},
            "ownerReferences": [owner_reference(NODE_OPS, meta)],
        },
    }


def _pod_spec(snapshot: Snapshot, node: str) -> Body:
    spec: Body = {
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
    }
    secrets = snapshot.op.spec.image_pull_secrets
    if secrets:
        spec["imagePullSecrets"] = [{"name": secret.name} for secret in secrets]
    return spec


def _sentinel_creator(snapshot: Snapshot, name: str) -> Mapping[str, Any]:
    return {
        "name": "sentinel-creator",
        "image": snapshot.images.sentinel or command_image(snapshot),
        "command": sentinel_command(name),
        "securityContext": _PRIVILEGED_ROOT,
        "volumeMounts": [_SENTINEL_MOUNT],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
