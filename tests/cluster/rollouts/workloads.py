"""Workloads of a cluster's users: what a drain finds on a node.

They are made by the real ReplicaSet, DaemonSet and disruption controllers; where no scheduler runs, the binding to a
node is made here.
"""

from __future__ import annotations

from typing import Any

from kairos_operator.api.resources import POD_DISRUPTION_BUDGETS, PODS, Resource
from tests.cluster.rollouts.arena import Arena
from tests.cluster.rollouts.recorder import Obj
from tests.sandbox.fleet import Outcome, Rule
from tests.waiting import eventually

REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets")
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets")
EMPTY_DIR = [{"name": "data", "emptyDir": {}}]
SERVES = Rule(Outcome(hangs=True), container="serve")
"""Gives to a NodeSpec that is to run workloads: they serve until they are told to end."""


def pod_spec(**extra: Any) -> dict[str, Any]:
    """A pod that serves until it is told to end."""
    return {"containers": [{"name": "serve", "image": "web:1"}], "terminationGracePeriodSeconds": 5, **extra}


async def replica_set(a: Arena, name: str, node: str, **extra: Any) -> Obj:
    """A ReplicaSet of one, on a node and Ready; returns its pod."""
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(**extra)}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    await a.create(REPLICA_SETS, name, {"spec": spec})
    return await _placed(a, name, node)


async def daemon_set(a: Arena, name: str, node: str, **extra: Any) -> Obj:
    """A DaemonSet for one node; returns its pod there, Ready."""
    selector = {"kubernetes.io/hostname": a.full(node)}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(nodeSelector=selector, **extra)}
    await a.create(
        DAEMON_SETS, name, {"spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}
    )
    return await _placed(a, name, node)


async def bare_pod(
    a: Arena, name: str, node: str, annotations: dict[str, str] | None = None, **extra: Any
) -> Obj:
    """A pod that no controller manages, Ready."""
    body = {"spec": pod_spec(nodeName=a.full(node), **extra)}
    await a.create(PODS, name, body, labels={"app": name}, annotations=annotations or {})
    return await ready_pod(a, name)


async def budget(a: Arena, name: str, app: str) -> None:
    """A PodDisruptionBudget that lets no pod of `app` go, in force."""
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}}
    await a.create(POD_DISRUPTION_BUDGETS, name, {"spec": spec})

    async def in_force() -> bool:
        found = await a.read(POD_DISRUPTION_BUDGETS, name)
        return bool((found.get("status") or {}).get("currentHealthy"))

    await eventually(in_force)


async def is_there(a: Arena, pod: Obj) -> bool:
    """Whether this very pod is there and not about to go."""
    metadata = (await a.read(PODS, pod["metadata"]["name"])).get("metadata", {})
    return metadata.get("uid") == pod["metadata"]["uid"] and "deletionTimestamp" not in metadata


async def ready_pod(a: Arena, app: str) -> Obj:
    """The pod with the label `app`, once it is Ready."""
    found: list[Obj] = []

    async def ready() -> bool:
        found[:] = [pod for pod in await pods_of(a, app) if _is_ready(pod)]
        return bool(found)

    await eventually(ready)
    return found[0]


async def _placed(a: Arena, app: str, node: str) -> Obj:
    found: list[Obj] = []

    async def made() -> bool:
        found[:] = await pods_of(a, app)
        return bool(found)

    await eventually(made)
    return await place(a, found[0], node)


async def place(a: Arena, pod: Obj, node: str) -> Obj:
    """Puts a pod that has no node yet on one; returns it, Ready."""
    name = pod["metadata"]["name"]
    target = {"apiVersion": "v1", "kind": "Node", "name": a.full(node)}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    await a.api.call("POST", PODS.path(a.tag, name, "binding"), binding)
    placed: list[Obj] = []

    async def ready() -> bool:
        placed[:] = [await a.read(PODS, name)]
        return _is_ready(placed[0])

    await eventually(ready)
    return placed[0]


async def pods_of(a: Arena, app: str) -> list[Obj]:
    """The pods with the label `app` that are not about to go."""
    query = {"labelSelector": f"app={app}"}
    found: list[Obj] = (await a.api.call("GET", PODS.path(a.tag), query=query))["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def _is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
