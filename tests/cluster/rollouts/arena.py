"""One scenario: what users ask of the operator, what it says, and what a person or fate does to the nodes.

The end of every scenario deletes its operations, which nothing may hold up, and then the verdict is spoken.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kairos_operator.api.names import ANNOTATION_CORDONED_BY
from kairos_operator.api.resources import EVENTS, NODE_OP_UPGRADES, NODE_OPS, NODES, Resource
from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts import verdict
from tests.cluster.rollouts.evidence import Evidence, phase, story
from tests.cluster.rollouts.place import Place
from tests.cluster.rollouts.recorder import Obj, path_of
from tests.cluster.rollouts.replica import Replica
from tests.sandbox.fleet import NodeSpec
from tests.sandbox.fleet.api import MERGE
from tests.sandbox.fleet.view import NodeView
from tests.waiting import eventually

IMAGE = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1"
TARGET = "v3.4.2-k3sv1.30.11-k3s1"
SPEED = 20.0
FINAL = ("Completed", "Failed")


class Arena(Place):
    """A scenario in progress."""

    def __init__(self, cluster: Cluster, directory: Path, specs: tuple[NodeSpec, ...], speed: float) -> None:
        super().__init__(cluster, directory, specs, speed)
        self.uncordoned = Counter[str]()
        self.rebooted = Counter[str]()

    async def node_op(
        self, name: str = "op", *, namespace: str = "", annotations: dict[str, str] | None = None, **spec: Any
    ) -> Obj:
        """Creates a NodeOp on the scenario's nodes; `spec` in the words of the wire."""
        body = {"command": ["do-it"], "image": "busybox:1", **spec}
        return await self._operation(NODE_OPS, name, namespace, annotations, body)

    async def upgrade(
        self, name: str = "up", *, namespace: str = "", annotations: dict[str, str] | None = None, **spec: Any
    ) -> Obj:
        """Creates a NodeOpUpgrade of the scenario's nodes to TARGET."""
        return await self._operation(NODE_OP_UPGRADES, name, namespace, annotations, {"image": IMAGE, **spec})

    async def _operation(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        annotations: dict[str, str] | None,
        spec: dict[str, Any],
    ) -> Obj:
        spec = {"nodeSelector": {"matchLabels": {"arena": self.tag}}, **spec}
        return await self.create(resource, name, {"spec": spec}, namespace, annotations=annotations or {})

    def latest(self, resource: Resource, name: str, namespace: str = "") -> Obj:
        """The newest version of an object that the observer has seen; empty where there is none."""
        space = (namespace or self.tag) if resource.namespaced else ""
        return self.recorder.latest[resource].get((space, name), {})

    def status(self, name: str = "op", namespace: str = "") -> dict[str, Any]:
        """The newest status of a NodeOp (an upgrade's has its name)."""
        status: dict[str, Any] = self.latest(NODE_OPS, name, namespace).get("status") or {}
        return status

    def upgrade_status(self, name: str = "up", namespace: str = "") -> dict[str, Any]:
        """The newest status of a NodeOpUpgrade."""
        status: dict[str, Any] = self.latest(NODE_OP_UPGRADES, name, namespace).get("status") or {}
        return status

    def on(self, node: str, name: str = "op", namespace: str = "") -> dict[str, Any]:
        """What the status of a NodeOp says of one node."""
        found: dict[str, Any] = (self.status(name, namespace).get("nodeStatuses") or {}).get(
            self.full(node), {}
        )
        return found

    def message(self, node: str, name: str = "op", namespace: str = "") -> str:
        """The message of one node."""
        return str(self.on(node, name, namespace).get("message", ""))

    def condition(self, kind: str, name: str = "op", resource: Resource = NODE_OPS) -> dict[str, Any]:
        """A condition of an operation; empty where it has none of that type."""
        status = self.latest(resource, name).get("status") or {}
        return next((one for one in status.get("conditions") or () if one["type"] == kind), {})

    async def event(self, reason: str, about: str = "") -> str:
        """The note of an Event with that reason (on an object of that name), once it is there."""
        found: list[str] = []

        async def there() -> bool:
            told = [one for one in await self.items(EVENTS) if one["reason"] == reason]
            found[:] = [one["note"] for one in told if about in ("", one["regarding"]["name"])]
            return bool(found)

        await eventually(there)
        return found[0]

    async def until(self, fact: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        """Returns as soon as something seen makes `fact` true."""
        try:
            await self.recorder.until(fact, what, seconds)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{story(self.recorder)}") from None

    async def until_says(self, node: str, text: str, name: str = "op", namespace: str = "") -> None:
        """Returns once the message of a node contains `text`."""
        await self.until(lambda: text in self.message(node, name, namespace), f"{node} says {text!r}")

    async def until_step(self, node: str, step: str, name: str = "op", namespace: str = "") -> None:
        """Returns once an operation is at `step` on a node."""
        await self.until(lambda: self.on(node, name, namespace).get("step") == step, f"{node} is at {step}")

    async def finished(
        self, name: str = "op", phase: str = "Completed", namespace: str = ""
    ) -> dict[str, Any]:
        """Returns the status of a NodeOp once it is final, which must be in `phase`."""
        await self.until(
            lambda: self.status(name, namespace).get("phase") in FINAL,
            f"{name} is finished",
        )
        status = self.status(name, namespace)
        assert status["phase"] == phase, story(self.recorder)
        return status

    async def upgraded(
        self, name: str = "up", phase: str = "Completed", namespace: str = ""
    ) -> dict[str, Any]:
        """Returns the status of a NodeOpUpgrade once it is final, which must be in `phase`."""
        await self.until(
            lambda: self.upgrade_status(name, namespace).get("phase") in FINAL,
            f"{name} is finished",
        )
        status = self.upgrade_status(name, namespace)
        assert status["phase"] == phase, story(self.recorder)
        # The NodeOp was final before, but comes by another watch, which may be behind.
        await self.until(
            lambda: self.status(name, namespace).get("phase") in (None, *FINAL), f"{name} is seen finished"
        )
        return status

    def node(self, short: str) -> NodeView:
        """What a node itself knows."""
        return self.fleet.node(self.full(short))

    def seen(self, short: str) -> Obj:
        """The newest version of a Node object."""
        return self.latest(NODES, self.full(short))

    def cordoned(self, short: str) -> bool:
        """Whether a node is unschedulable."""
        return bool(self.seen(short)["spec"].get("unschedulable"))

    def cordoned_by(self, short: str) -> str:
        """The annotation that says whose cordon it is."""
        return str((self.seen(short)["metadata"].get("annotations") or {}).get(ANNOTATION_CORDONED_BY, ""))

    async def cordon(self, short: str) -> None:
        """A person cordons a node."""
        await self.patch(NODES, self.full(short), {"spec": {"unschedulable": True}})

    async def uncordon(self, short: str) -> None:
        """A person uncordons a node."""
        self.uncordoned[self.full(short)] += 1
        await self.patch(NODES, self.full(short), {"spec": {"unschedulable": None}})

    def reboot(self, short: str) -> None:
        """A node reboots by itself."""
        self.rebooted[self.full(short)] += 1
        self.fleet.reboot(self.full(short))

    def power_off(self, short: str) -> None:
        """A node loses its power until the fleet's `power_on`."""
        self.rebooted[self.full(short)] += 1
        self.fleet.power_off(self.full(short))

    async def remove_node(self, short: str) -> None:
        """A node leaves for good."""
        self.rebooted[self.full(short)] += 1
        await self.fleet.remove_node(self.full(short))

    async def register_anew(self, short: str) -> None:
        """The Node object is deleted and made anew, with another UID; the machine is the same."""
        name = self.full(short)
        old = await self.read(NODES, name)
        await self.delete(NODES, name)
        await self.create(NODES, name, {"spec": {}}, labels=old["metadata"]["labels"])
        await self.api.call("PATCH", NODES.path(None, name, "status"), {"status": old["status"]}, media=MERGE)

    def runs(self, short: str, container: str) -> bool:
        """Whether a container of that name is running on a node."""
        records = [
            one
            for one in self.node(short).journal.of(self.full(short), "start", "end")
            if one.container == container
        ]
        return bool(records) and records[-1].event == "start"

    def _mirrored(self) -> bool:
        upgrades = self.recorder.latest[NODE_OP_UPGRADES]
        ops = [op for path, op in self.recorder.latest[NODE_OPS].items() if path in upgrades]
        return all(phase(upgrades[path_of(op)]) in FINAL for op in ops if phase(op) in FINAL)

    async def conclude(self) -> None:
        """The end of a scenario that went as it should: everything goes away when told to, and the verdict."""
        await self.until(self._mirrored, "the upgrades say what their NodeOps say")
        evidence = Evidence(self.recorder, self.fleet.journal, self.uncordoned, self.rebooted)
        found = verdict.faults(evidence)
        for resource in (NODE_OP_UPGRADES, NODE_OPS):
            for namespace, name in list(self.recorder.latest[resource]):
                await self.delete(resource, name, namespace)
        await self.until(
            lambda: not self.recorder.latest[NODE_OP_UPGRADES] and not self.recorder.latest[NODE_OPS],
            "all operations are gone once deleted",
        )
        found += [fault for fault in verdict.faults(evidence) if fault not in found]
        assert not found, "\n".join([*found, story(self.recorder)])


@asynccontextmanager
async def opened(
    cluster: Cluster, operator: Replica, directory: Path, *specs: NodeSpec, speed: float = SPEED
) -> AsyncIterator[Arena]:
    """A scenario from its beginning to its verdict; the operator must have no bug to report."""
    arena = Arena(cluster, directory, specs, speed)
    await arena.open()
    operator.news()
    try:
        yield arena
        await arena.conclude()
        told = operator.news()
        assert "Traceback" not in told, told[-5000:]
    finally:
        await asyncio.shield(arena.close())
