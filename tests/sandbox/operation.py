"""The children that the operator makes for one node, written out by hand: what the fleet's tests play with."""

from __future__ import annotations

from typing import Any

from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.core.scripts import (
    postflight_command,
    preflight_command,
    sentinel_command,
    upgrade_command,
)

IMAGE = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1"
TARGET = "v3.4.2-k3sv1.30.11-k3s1"
NAMESPACE = "default"
UPGRADE = NodeOpUpgradeSpec(image=IMAGE)

_HOST = {"name": "host-root", "hostPath": {"path": "/"}}
_HOST_MOUNT = [{"name": "host-root", "mountPath": "/host"}]
_SENTINEL = {"name": "sentinel", "hostPath": {"path": "/usr/local/.kairos"}}
_SENTINEL_MOUNT = [{"name": "sentinel", "mountPath": "/sentinel"}]

Body = dict[str, Any]


def job_name(node: str) -> str:
    return f"up-{node}"


def reboot_name(node: str) -> str:
    return f"reboot-{node}"


def check_pod(node: str, role: str) -> Body:
    """A preflight or postflight pod."""
    command = preflight_command(UPGRADE) if role == "preflight" else postflight_command()
    container = {"name": role, "image": IMAGE, "command": command, "volumeMounts": _HOST_MOUNT}
    policy = "OnFailure" if role == "preflight" else "Never"
    spec = {"nodeName": node, "restartPolicy": policy, "volumes": [_HOST], "containers": [container]}
    return _child("v1", "Pod", f"{role}-{node}", {}) | {"spec": spec | _no_token()}


def job(node: str, **spec: Any) -> Body:
    """The Job that upgrades the node and then writes the sentinel."""
    work = {
        "name": "nodeop",
        "image": IMAGE,
        "command": upgrade_command(UPGRADE),
        "securityContext": {"privileged": True},
        "volumeMounts": _HOST_MOUNT,
    }
    done = {
        "name": "sentinel-creator",
        "image": IMAGE,
        "command": sentinel_command(job_name(node)),
        "volumeMounts": _SENTINEL_MOUNT,
    }
    pod = {
        "nodeName": node,
        "restartPolicy": "Never",
        "volumes": [_HOST, _SENTINEL],
        "initContainers": [work],
        "containers": [done],
    }
    body = _child("batch/v1", "Job", job_name(node), {})
    return body | {"spec": {"template": {"spec": pod | _no_token()}, **spec}}


def reboot_pod(node: str, *, privileged: bool = True) -> Body:
    """The pod that reboots the node once the Job has succeeded."""
    name = reboot_name(node)
    told = {"POD_NAME": name, "POD_NAMESPACE": NAMESPACE, "JOB_NAME": job_name(node)}
    container = {
        "name": "reboot",
        "image": "operator",
        "env": [{"name": key, "value": value} for key, value in told.items()],
        "securityContext": {"privileged": privileged},
        "volumeMounts": _SENTINEL_MOUNT,
    }
    spec = {
        "nodeName": node,
        "hostPID": True,
        "restartPolicy": "OnFailure",
        "serviceAccountName": name,
        "volumes": [_SENTINEL],
        "containers": [container],
    }
    return _child("v1", "Pod", name, {"kairos.io/reboot": "true"}) | {"spec": spec}


def reboot_rights(node: str) -> list[Body]:
    """The account of the reboot pod, which may get and patch that pod alone."""
    name, group = reboot_name(node), "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["pods"], "resourceNames": [name], "verbs": ["get", "patch"]}
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    }
    return [
        _child("v1", "ServiceAccount", name, {}),
        _child(f"{group}/v1", "Role", name, {}) | {"rules": [rule]},
        _child(f"{group}/v1", "RoleBinding", name, {}) | binding,
    ]


def _child(version: str, kind: str, name: str, labels: dict[str, str]) -> Body:
    meta = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": meta}


def _no_token() -> Body:
    return {"automountServiceAccountToken": False}
