"""Everything that the operator does to a cluster, one after the other, so that an audit log shows which rights it uses.

Each step waits for an effect that cannot come without its requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODES
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.config.audit import Right
from tests.config.installation import NAMESPACE, Installation
from tests.sandbox.fleet import Fleet, FleetOptions, NodeSpec, Outcome, Rule, from_kubeconfig
from tests.waiting import eventually

IMAGE = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1"
HANGS = (Rule(Outcome(hangs=True), image="hangs:1"),)
FLEET = (
    NodeSpec("cp-1", control_plane=True),
    NodeSpec("worker-1"),
    NodeSpec("doomed", rules=HANGS),
    NodeSpec("patient", rules=HANGS),
)


class Hurried(SystemClock):
    """A clock on which a minute is a fraction of a second."""

    def monotonic(self) -> float:
        return time.monotonic() * 500

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 500)


class Scenario:
    """The steps, on an installation with a running replica."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    async def play(self) -> None:
        """All steps. Raises TimeoutError with the one that did not come true."""
        options = FleetOptions(speed=20, plays_job_controller=False, mints_tokens=True)
        access = from_kubeconfig(self.installation.plane.kubeconfig)
        async with Fleet(access, FLEET, self.installation.work_dir / "fleet", options) as fleet:
            await self.upgrade_two_nodes(fleet)
            await self.check_many_nodes()
            await self.lose_a_node(fleet)
            await self.delete_an_operation()
            await self.lose_a_pod()
            await self.change_an_upgrade_at_the_same_time()
        await self.damage_the_certificate()
        await self.say_something_twice()

    async def upgrade_two_nodes(self, fleet: Fleet) -> None:
        """Checks, drains, upgrades, reboots and uncordons, and evicts a pod on the way."""
        await self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
        owner = (await self.read("configmap", "owner"))["metadata"]["uid"]
        await self.create(_workload("worker-1", owner))
        await self.create(_upgrade("upgrade", ["cp-1", "worker-1"]))
        await eventually(lambda: self.phase("nodeopupgrade", "upgrade", "Completed"))
        assert [fleet.node(name).boots for name in ("cp-1", "worker-1", "doomed")] == [2, 2, 1]
        assert fleet.node("worker-1").version == "v3.4.2-k3sv1.30.11-k3s1"
        for name in ("cp-1", "worker-1"):
            assert "unschedulable" not in (await self.read("node", name))["spec"]
        assert not [
            one for one in (await self.read("pods"))["items"] if one["metadata"]["name"] == "workload"
        ]

    async def check_many_nodes(self) -> None:
        """The check pods of nodes that are in flight together go together."""
        body = _operation("many", *(spec.name for spec in FLEET))
        body["spec"] |= {"preflight": {"command": ["check"], "image": "check:1"}, "concurrency": len(FLEET)}
        await self.create(body)
        for node in ("doomed", "patient"):
            await eventually(partial(self.running, "many", node))

        async def checked() -> bool:
            return not (await self.read("pods", "--selector=kairos.io/preflight"))["items"]

        await eventually(checked)
        await self.kubectl("delete", "nodeop", "many", "--timeout=60s")

    async def lose_a_node(self, fleet: Fleet) -> None:
        """A node that is deleted in the middle fails, and its Job is ended."""
        await self.create(_operation("lost", "doomed"))
        await eventually(lambda: self.running("lost", "doomed"))
        await fleet.remove_node("doomed")
        await eventually(lambda: self.phase("nodeop", "lost", "Failed"))

    async def delete_an_operation(self) -> None:
        """A deleted operation lifts its cordons before it goes."""
        await self.create(_operation("deleted", "patient"))
        await eventually(lambda: self.running("deleted", "patient"))
        assert (await self.read("node", "patient"))["spec"]["unschedulable"] is True
        await self.kubectl("delete", "nodeop", "deleted", "--timeout=60s")
        assert "unschedulable" not in (await self.read("node", "patient"))["spec"]

    async def lose_a_pod(self) -> None:
        """A pod that vanished is looked for before it is made anew."""
        body = _operation("checked", "patient")
        body["spec"]["preflight"] = {"command": ["check"]}
        await self.create(body)
        await eventually(lambda: self.running("checked", "patient"))
        gone = (await self.read("pods", "--selector=kairos.io/nodeop=checked"))["items"][0]["metadata"]
        await self.kubectl("delete", "pod", gone["name"], "--force", "--grace-period=0")

        async def made_anew() -> bool:
            pods = (await self.read("pods", "--selector=kairos.io/nodeop=checked"))["items"]
            return any(pod["metadata"]["uid"] != gone["uid"] for pod in pods)

        await eventually(made_anew)
        await self.kubectl("delete", "nodeop", "checked", "--timeout=60s")

    async def change_an_upgrade_at_the_same_time(self) -> None:
        """A write that meets somebody else's makes the operator read the upgrade anew."""
        needed = Right(NODE_OP_UPGRADES.group, NODE_OP_UPGRADES.plural, "get", "default", "disturbed")

        async def read_anew() -> bool:
            number = time.monotonic_ns()
            await self.kubectl("delete", "nodeopupgrade", "disturbed", "--ignore-not-found", "--timeout=60s")
            await self.create(_upgrade("disturbed", ["worker-1"]))
            for step in range(8):
                await self.kubectl(
                    "annotate", "nodeopupgrade", "disturbed", "--overwrite", f"n={number + step}"
                )
            return any(one.right == needed for one in self.installation.requests())

        await eventually(read_anew)
        await self.kubectl("delete", "nodeopupgrade", "disturbed", "--timeout=60s")

    async def damage_the_certificate(self) -> None:
        """A Secret that holds no certificate is written anew."""
        name = "kairos-operator-webhook-certificate"
        damage = json.dumps({"data": {"tls.crt": "bm90aGluZw=="}})
        await self.kubectl("patch", "secret", name, "-n", NAMESPACE, "--type=merge", "-p", damage)

        async def repaired() -> bool:
            secret = await self.read("secret", name, "-n", NAMESPACE)
            return bool(secret["data"]["tls.crt"] != "bm90aGluZw==")

        await eventually(repaired)

    async def say_something_twice(self) -> None:
        """A repeated Event is counted, which is written a minute later: too long for a test to sit through."""
        api = await Kr8sApi.connect(str(self.installation.work_dir / "operator.kubeconfig"))
        try:
            recorder = EventRecorder(KubeClient(api), Hurried(), instance="kairos-operator-0")
            writing = asyncio.create_task(recorder.run())
            about = {"apiVersion": NODES.api_version, "kind": NODES.kind, "name": "cp-1"}
            seen: set[int] = set()

            async def counted_on() -> bool:
                recorder.publish(about, "Normal", "Tested", "said again and again")
                events = await self.read("events", "--field-selector=reason=Tested")
                seen.update(one["count"] for one in events["items"])
                return len(seen) > 1 and len(events["items"]) == 1

            await eventually(counted_on)
            writing.cancel()
        finally:
            await api.close()

    async def create(self, body: dict[str, Any]) -> None:
        """Creates one object, through the webhooks."""
        await asyncio.to_thread(self.installation.plane.kubectl, "create", "-f", "-", stdin=json.dumps(body))

    async def read(self, *args: str) -> dict[str, Any]:
        """`kubectl get`."""
        found: dict[str, Any] = await asyncio.to_thread(self.installation.plane.read, *args)
        return found

    async def kubectl(self, *args: str) -> None:
        """Any other command."""
        await asyncio.to_thread(self.installation.plane.kubectl, *args)

    async def phase(self, kind: str, name: str, phase: str) -> bool:
        """Whether the operation is in that phase."""
        return bool((await self.read(kind, name)).get("status", {}).get("phase") == phase)

    async def running(self, name: str, node: str) -> bool:
        """Whether the operation's command runs on the node."""
        pods = (await self.read("pods", f"--selector=kairos.io/nodeop={name},kairos.io/node={node}"))["items"]
        return any(
            "running" in container["state"]
            for pod in pods
            for container in pod.get("status", {}).get("containerStatuses") or ()
        )


def _upgrade(name: str, nodes: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": NODE_OP_UPGRADES.api_version,
        "kind": NODE_OP_UPGRADES.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"image": IMAGE, "concurrency": 1, "nodeSelector": _these(nodes)},
    }


def _operation(name: str, *nodes: str) -> dict[str, Any]:
    return {
        "apiVersion": NODE_OP_UPGRADES.api_version,
        "kind": "NodeOp",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "command": ["work"],
            "image": "hangs:1",
            "cordon": True,
            "nodeSelector": _these(list(nodes)),
        },
    }


def _these(nodes: list[str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}]}


def _workload(node: str, owner: str) -> dict[str, Any]:
    """A pod that some controller owns, so that a drain evicts it."""
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "workload", "namespace": "default", "ownerReferences": [reference]},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "serve", "image": "any:1"}],
        },
    }


def peak_memory(pid: int) -> int:
    """The most memory that a process has had so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel does not tell the memory of {pid}")
