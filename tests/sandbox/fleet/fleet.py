"""The simulated fleet on an API server: registers nodes, plays their kubelets and, if asked, the Job controller.

    async with Fleet(from_kubeconfig(path), nodes, work_dir, options) as fleet:
        fleet.node("worker-1").version, .boots, .commands_run

This module is the outside: the nodes' registration and leases, what a test may do to a node, what it may see of it.
Everything ends with `stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kairos_operator.api.resources import NODES
from tests.sandbox.fleet.access import Access
from tests.sandbox.fleet.api import MERGE, Answer, Api
from tests.sandbox.fleet.clock import wall_clock
from tests.sandbox.fleet.disk import ImageRelease, MemoryDisk
from tests.sandbox.fleet.driver import Driver
from tests.sandbox.fleet.files import Workspace
from tests.sandbox.fleet.jobs import JobController
from tests.sandbox.fleet.journal import Journal
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.leases import renew_leases
from tests.sandbox.fleet.programs import modelled_programs, real_programs
from tests.sandbox.fleet.requests import RebootRequests
from tests.sandbox.fleet.runner import Runner
from tests.sandbox.fleet.spec import NodeSpec, release_of_image
from tests.sandbox.fleet.tokens import Tokens
from tests.sandbox.fleet.view import NodeView


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """How the fleet plays."""

    speed: float = 1.0
    """Durations of the scenario are divided by it."""
    plays_job_controller: bool = True
    """False where a kube-controller-manager runs."""
    mints_tokens: bool = False
    """Whether pods get tokens of their own ServiceAccount (TokenRequest) instead of the fleet's."""
    runs_programs: bool = True
    """Whether the operator's scripts and reboot program run for real, or as models of themselves."""
    image_release: ImageRelease = release_of_image
    in_flight: int = 32
    heartbeats: bool = True
    """Whether the nodes have Leases that are renewed."""


class Fleet:
    """Simulated nodes on one API server."""

    def __init__(
        self, access: Access, nodes: Iterable[NodeSpec], work_dir: Path, options: FleetOptions | None = None
    ) -> None:
        self.options = options or FleetOptions()
        self.journal = Journal()
        self._api = Api(access, self.options.in_flight)
        self._work = Workspace(work_dir, self.options.image_release) if self.options.runs_programs else None
        self._requests = RebootRequests(self._work.requests, self.reboot) if self._work else None
        tokens = Tokens(self._api, mints=self.options.mints_tokens)
        self._runner = Runner(self._work, access.url, access.ca, tokens.token_for) if self._work else None
        jobs = JobController(self.options.speed) if self.options.plays_job_controller else None
        self._driver = Driver(self._api, self._runner, jobs, wall_clock)
        self._kubelets = self._driver.kubelets
        self._numbers = count(1)
        for spec in nodes:
            self._make(spec)

    async def start(self) -> None:
        """Registers the nodes and begins to play. Raises Answer where the API server refuses a node."""
        await self._api.open()
        if self._requests is not None:
            self._requests.open()
        await asyncio.gather(*(self._register(one) for one in self._kubelets.values()))
        if self.options.heartbeats:
            self._driver.spawn(renew_leases(self._api, self._names_of_nodes_up))
        await self._driver.start()

    async def stop(self) -> None:
        """Ends all tasks and programs. Raises what a task of the fleet died of, if one did."""
        try:
            await self._driver.stop()
        finally:
            if self._requests is not None:
                self._requests.close()
            await self._api.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def nodes(self) -> dict[str, NodeView]:
        """All nodes by name."""
        return {name: NodeView(kubelet, self.journal) for name, kubelet in self._kubelets.items()}

    def node(self, name: str) -> NodeView:
        """What an outside observer sees of one node."""
        return NodeView(self._kubelets[name], self.journal)

    def change(self, name: str, **changes: Any) -> None:
        """Changes fields of a node's spec while it runs, such as `agent` or `reboot`."""
        kubelet = self._kubelets[name]
        kubelet.spec = replace(kubelet.spec, **changes)
        self._driver.poke(kubelet)

    async def add_node(self, spec: NodeSpec) -> None:
        """A node joins; one of that name that has left is another one."""
        self._driver.left.discard(spec.name)
        await self._register(self._make(spec))

    async def remove_node(self, name: str) -> None:
        """A node leaves for good: its object and, as the pod garbage collector would do it, its pods go."""
        self.power_off(name)
        del self._kubelets[name]
        await self._api.call("DELETE", NODES.path(None, name))
        await self._driver.collect(name)

    def reboot(self, name: str) -> None:
        """Reboots a node, asked for or out of the blue."""
        self._kubelets[name].request_reboot(wall_clock())
        self._driver.poke(self._kubelets[name])

    def power_off(self, name: str) -> None:
        """Cuts a node's power; it stays down until `power_on`."""
        self._kubelets[name].power_off(wall_clock())
        self._driver.poke(self._kubelets[name])

    def power_on(self, name: str) -> None:
        """Boots a node that is down, also one that never was to come back."""
        self._kubelets[name].power_on(wall_clock())
        self._driver.poke(self._kubelets[name])

    async def pod_log(self, namespace: str, pod: str, container: str = "", previous: bool = False) -> str:
        """What a container has said; the last one where none is named. Raises KeyError for no such pod."""
        run = next(
            (
                run
                for one in self._kubelets.values()
                for run in one.pods.values()
                if run.key == (namespace, pod)
            ),
            None,
        )
        found = run.find(container) if run else None
        if run is None or found is None:
            raise KeyError(f"{namespace}/{pod} {container}")
        if found.running and not previous:
            return self._runner.log(found.run_id(run.uid)) if self._runner else ""
        logs = found.logs if found.running or found.waits_again or not previous else found.logs[:-1]
        return logs[-1] if logs else ""

    def _names_of_nodes_up(self) -> list[str]:
        return [name for name, kubelet in self._kubelets.items() if kubelet.power == "up"]

    def _make(self, spec: NodeSpec) -> Kubelet:
        choose = (
            real_programs() if self.options.runs_programs else modelled_programs(self.options.image_release)
        )
        disk = self._work.disk(spec.name, spec.release) if self._work else MemoryDisk(spec.name, spec.release)
        kubelet = Kubelet(spec, next(self._numbers), disk, choose, self.journal, self.options.speed)
        self._kubelets[spec.name] = kubelet
        return kubelet

    async def _register(self, kubelet: Kubelet) -> None:
        now = wall_clock()
        body = kubelet.node(now)
        try:
            await self._api.call("POST", NODES.path(), body)
        except Answer as refused:
            if refused.status != 409:
                raise
            labels = {"metadata": {"labels": body["metadata"]["labels"]}}
            await self._api.call("PATCH", NODES.path(None, kubelet.name), labels, media=MERGE)
        status = {"status": kubelet.status(now)}
        await self._api.call("PATCH", NODES.path(None, kubelet.name, "status"), status, media=MERGE)
