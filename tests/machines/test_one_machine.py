"""One machine boots, joins, runs a pod, and comes back from a reboot as the same node in another boot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.machines.cluster import MachineCluster
from tests.machines.images import NEW_IMAGE

pytestmark = pytest.mark.machines


def privileged(name: str, node: str, *command: str) -> dict[str, Any]:
    """A pod that can do to its node what a reboot pod can."""
    container = {
        "name": "main",
        "image": NEW_IMAGE.name,
        "command": list(command),
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "host", "mountPath": "/host"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "hostPID": True,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        },
    }


def test_a_machine_runs_pods_and_comes_back_from_a_reboot_with_another_boot_id() -> None:
    with MachineCluster(["alone"]) as cluster:
        machine = cluster.machines["alone"]

        def phase(pod: str) -> str:
            return str(cluster.plane.read("pod", pod)["status"].get("phase"))

        cluster.plane.apply(privileged("hello", "alone", "cat", "/host/etc/kairos-release"))
        cluster.wait(lambda: phase("hello") == "Succeeded", "the pod has run", 60)
        assert 'KAIROS_VERSION="v3.4.2"' in cluster.plane.kubectl("logs", "hello").stdout

        before = cluster.node("alone")["status"]["nodeInfo"]["bootID"]
        assert before == machine.boot_ids[0]
        cluster.plane.apply(privileged("reboot", "alone", "chroot", "/host", "/usr/sbin/reboot"))
        cluster.wait(lambda: len(machine.boot_ids) == 2, "the machine is booted again", 60)
        cluster.wait(lambda: cluster.ready("alone"), "the node is Ready in its second boot", 120)
        after = cluster.node("alone")["status"]["nodeInfo"]["bootID"]
        assert after == machine.boot_ids[1] != before
        events = cluster.plane.read("events", "--field-selector=reason=Rebooted")["items"]
        assert events, json.dumps(events)
