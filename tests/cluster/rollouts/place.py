"""Where a scenario is played: its namespaces, its nodes, its observer, and plain reads and writes.

Rules: names carry the scenario's tag, and so do the labels of its nodes, so that scenarios never meet.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from kairos_operator.api.resources import (
    NAMESPACES,
    NODE_OP_UPGRADES,
    NODE_OPS,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    Resource,
)
from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts.recorder import Obj, Recorder
from tests.sandbox.fleet import Fleet, FleetOptions, NodeSpec, from_kubeconfig
from tests.sandbox.fleet.api import MERGE, Answer, Api
from tests.waiting import eventually

_NUMBERS = itertools.count(1)


class Place:
    """One scenario's part of the cluster."""

    def __init__(self, cluster: Cluster, directory: Path, specs: tuple[NodeSpec, ...], speed: float) -> None:
        self.tag = f"r{next(_NUMBERS)}"
        self.cluster = cluster
        self.namespaces = [self.tag]
        options = FleetOptions(speed=speed, plays_job_controller=False, mints_tokens=True)
        access = from_kubeconfig(cluster.kubeconfig)
        self.fleet = Fleet(access, [self.own(spec) for spec in specs], directory / self.tag, options)
        self.api = Api(access)
        self.recorder = Recorder(self.api, self._is_mine)
        self.fleet.journal.listener = lambda record: self.recorder.poke()

    def full(self, short: str) -> str:
        """The name of a node in the cluster."""
        return short if short.startswith(self.tag) else f"{self.tag}-{short}"

    def own(self, spec: NodeSpec) -> NodeSpec:
        """A node as one of the scenario's."""
        return replace(spec, name=self.full(spec.name), labels={**spec.labels, "arena": self.tag})

    def _is_mine(self, obj: Obj) -> bool:
        metadata = obj["metadata"]
        return metadata.get("namespace", "") in self.namespaces or (
            "namespace" not in metadata and (metadata.get("labels") or {}).get("arena") == self.tag
        )

    async def create(
        self, resource: Resource, name: str, body: dict[str, Any], namespace: str = "", **metadata: Any
    ) -> Obj:
        """Creates an object in the scenario's namespace."""
        head = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, **metadata},
        }
        return await self.api.call("POST", resource.path(namespace or self.tag), {**head, **body})

    async def read(self, resource: Resource, name: str, namespace: str = "") -> Obj:
        """Reads an object; empty where there is none."""
        try:
            return await self.api.call("GET", resource.path(namespace or self.tag, name))
        except Answer as answer:
            if answer.status != 404:
                raise
            return {}

    async def items(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """All objects of a resource in the scenario's namespace."""
        found: list[Obj] = (await self.api.call("GET", resource.path(namespace or self.tag)))["items"]
        return found

    async def patch(self, resource: Resource, name: str, body: dict[str, Any], namespace: str = "") -> Obj:
        """A merge patch."""
        return await self.api.call("PATCH", resource.path(namespace or self.tag, name), body, media=MERGE)

    async def delete(self, resource: Resource, name: str, namespace: str = "", **options: Any) -> None:
        """Deletes an object; one that is gone is as good."""
        try:
            await self.api.call("DELETE", resource.path(namespace or self.tag, name), options or None)
        except Answer as answer:
            if answer.status != 404:
                raise

    async def namespace(self, suffix: str, **labels: str) -> str:
        """Another namespace of the scenario; returns its name."""
        name = f"{self.tag}-{suffix}"
        self.namespaces.append(name)
        await self._make_namespace(name, labels)
        return name

    async def _make_namespace(self, name: str, labels: dict[str, str]) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        await self.api.call("POST", NAMESPACES.path(), body)

        async def usable() -> bool:
            return bool(await self.read(SERVICE_ACCOUNTS, "default", name))

        await eventually(usable)

    async def open(self) -> None:
        """Makes the namespace, registers the nodes, begins to observe."""
        await self.api.open()
        await self._make_namespace(self.tag, {})
        await self.fleet.start()
        await self.recorder.start()

    async def close(self) -> None:
        """Takes away what is left; nothing of it is judged."""
        await self.recorder.stop()
        await self.fleet.stop()
        for resource in (NODE_OP_UPGRADES, NODE_OPS):
            for namespace, name in list(self.recorder.latest[resource]):
                await self.patch(resource, name, {"metadata": {"finalizers": None}}, namespace)
        for _, name in list(self.recorder.latest[NODES]):
            await self.delete(NODES, name)
        for namespace in self.namespaces:
            await self.api.call("DELETE", PODS.path(namespace), {"gracePeriodSeconds": 0})
            await self.delete(NAMESPACES, namespace)
        await self.api.close()
