"""The Node object of a simulated node, as a kubelet writes it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from tests.sandbox.fleet.clock import stamp
from tests.sandbox.fleet.disk import MemoryDisk
from tests.sandbox.fleet.spec import NodeSpec

Trouble = Literal["", "starting", "shutdown"]

_READY = {
    "": ("True", "KubeletReady", "kubelet is posting ready status"),
    "starting": ("False", "KubeletNotReady", "container runtime network not ready"),
    "shutdown": ("False", "KubeletNotReady", "node is shutting down"),
}
_PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_MACHINES = uuid.UUID("0b7f7a1e-7c55-4f0f-8a2e-5a4f3b0f9d77")


def node_object(spec: NodeSpec, number: int) -> dict[str, Any]:
    """The Node to register; its status is written separately."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": spec.all_labels()},
        "spec": {"podCIDR": f"10.{64 + number // 256}.{number % 256}.0/24"},
    }


def node_status(spec: NodeSpec, number: int, disk: MemoryDisk, trouble: str, now: datetime) -> dict[str, Any]:
    """The whole status, for a merge patch."""
    room = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
    address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    return {
        "capacity": room,
        "allocatable": room,
        "conditions": _conditions(trouble, stamp(now)),
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": spec.name},
        ],
        "nodeInfo": _info(spec, disk),
    }


def _conditions(trouble: str, time: str) -> list[dict[str, str]]:
    times = {"lastHeartbeatTime": time, "lastTransitionTime": time}
    status, reason, message = _READY[trouble]
    found = [
        {"type": kind, "status": "False", "reason": why, "message": text, **times}
        for kind, (why, text) in _PRESSURES.items()
    ]
    return [*found, {"type": "Ready", "status": status, "reason": reason, "message": message, **times}]


def _info(spec: NodeSpec, disk: MemoryDisk) -> dict[str, str]:
    release = disk.running
    kubelet = release.software if release.software.startswith("v") else f"v{release.software}"
    machine = uuid.uuid5(_MACHINES, spec.name)
    return {
        "machineID": machine.hex,
        "systemUUID": str(machine),
        "bootID": disk.boot_id,
        "kernelVersion": "6.12.0-kairos",
        "osImage": f"Kairos {release.triple}",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kubeletVersion": kubelet,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
