"""A cluster for the commands: the API server in memory, a modelled fleet, and, where a test wants one, the operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from kairos_operator.api.crd import custom_resource_definition
from kairos_operator.api.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NODE_OP_UPGRADES,
    NODE_OPS,
    NODES,
    Resource,
)
from kairos_operator.cli.app import app
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.demo import install
from tests.sandbox.demo.children import Child, free_ports, running
from tests.sandbox.fleet import Fleet, FleetOptions, NodeSpec, from_kubeconfig
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock

NAMESPACE = "default"
TARGET = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.5.0-k3sv1.33.1-k3s1"


class Site:
    """One cluster; `call` is what a user types."""

    def __init__(self, store: Store, server: ApiServer, kubeconfig: Path) -> None:
        self.store, self.server, self.kubeconfig = store, server, kubeconfig
        self.fleet: Fleet | None = None

    async def call(self, *arguments: str, stdin: str = "") -> Result:
        """Run `kubectl kairos ARGUMENTS` as in a script: no terminal, its own event loop."""
        environment = {"KUBECONFIG": str(self.kubeconfig), "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input=stdin, env=environment)

    def create(
        self, resource: Resource, body: dict[str, Any], status: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Put an object into the cluster, with its status."""
        namespace = body["metadata"].get("namespace", NAMESPACE) if resource.namespaced else None
        made = self.store.create(resource, body, namespace)
        if status is None:
            return made
        name = made["metadata"]["name"]
        return self.store.patch(resource, name, {"status": status}, namespace, subresource="status")

    def operation(
        self,
        resource: Resource,
        name: str,
        status: dict[str, Any] | None = None,
        /,
        *,
        paused: bool = False,
        **spec: Any,
    ) -> dict[str, Any]:
        """Put an operation into the cluster."""
        needed = {"command": ["true"]} if resource == NODE_OPS else {"image": TARGET}
        annotations = {"operator.kairos.io/paused": "true"} if paused else {}
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "annotations": annotations},
            "spec": {**needed, **spec},
        }
        return self.create(resource, body, status)

    def names(self) -> set[str]:
        """The names of all operations."""
        found = [*self.store.list(NODE_OPS).items, *self.store.list(NODE_OP_UPGRADES).items]
        return {one["metadata"]["name"] for one in found}

    def node(self, name: str, *, control_plane: bool = False, **labels: str) -> None:
        """Put a Node that is Ready into the cluster."""
        role = {"node-role.kubernetes.io/control-plane": ""} if control_plane else {}
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **role, **labels}}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        self.create(NODES, body, {"conditions": [ready]})


@asynccontextmanager
async def site(
    directory: Path, nodes: Sequence[NodeSpec] = (), *, operator: bool = False, speed: float = 20.0
) -> AsyncIterator[Site]:
    """A cluster with the CRDs, with a fleet where `nodes` are given, and with the operator if asked for."""
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
    for resource in (NODE_OPS, NODE_OP_UPGRADES):
        store.create(CUSTOM_RESOURCE_DEFINITIONS, custom_resource_definition(resource))
    fleets: list[Fleet] = []

    async def logs(namespace: str, pod: str, container: str, previous: bool) -> str:
        return await fleets[0].pod_log(namespace, pod, container, previous)

    server = ApiServer(store, logs=logs)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
        found = Site(store, server, kubeconfig)
        if nodes:
            options = FleetOptions(speed=speed, runs_programs=False)
            fleet = Fleet(from_kubeconfig(server.kubeconfig()), nodes, directory / "fleet", options)
            found.fleet = await stack.enter_async_context(fleet)
            fleets.append(fleet)
        if operator:
            await stack.enter_async_context(_operator(kubeconfig, directory))
        yield found


@asynccontextmanager
async def _operator(kubeconfig: Path, directory: Path) -> AsyncIterator[Child]:
    """The operator as a program of its own, ready to work."""
    (probes,) = free_ports(1)
    command = install.operator_command(kubeconfig, probes, 0)
    command.append("--metrics-bind-address=0")
    async with running(
        "the operator", command, directory / "operator.log", install.OPERATOR_ENVIRONMENT
    ) as child:
        await install.operator_ready(probes, child)
        yield child
