"""A cluster in which much happens within a minute or two, so that every panel of the dashboard has something to show.

An operation that completes, an upgrade whose drain a budget holds up, one that fails, an object that is refused, and
watches that the API server ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, POD_DISRUPTION_BUDGETS, Resource
from kairos_operator.runtime.errors import ApiError
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.monitoring.prometheus import Prometheus, prometheus
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.demo import blockade, install, roster
from tests.sandbox.demo.children import free_ports, running
from tests.sandbox.fleet import Fleet, FleetOptions, NodeSpec, Outcome, Rule, from_kubeconfig
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock
from tests.waiting import eventually

SPACE = "default"
BLOCKED = "worker-2"
BREAKS = Rule(Outcome(exit_code=1, message="no space left on the device"), image="broken:*")
FLEET = [
    NodeSpec("cp-1", control_plane=True),
    *(NodeSpec(f"worker-{number}", rules=(BREAKS, roster.SERVES)) for number in range(1, 12)),
]
BLOCKED_SECONDS = 12.0
SPEED = 4.0


@dataclass(slots=True)
class Scene:
    """The cluster, its operator, and the Prometheus that watches it."""

    server: ApiServer
    client: KubeClient
    prometheus: Prometheus
    began: float

    async def play(self) -> None:
        """Let it all happen."""
        await self._ended(await self._create(NODE_OPS, {"command": ["df"], "image": "busybox:1.36.1"}))
        upgrade = await self._create(
            NODE_OP_UPGRADES, {"image": roster.manifest()["spec"]["image"], "concurrency": 3}
        )
        await eventually(lambda: self._blocked(upgrade))
        await asyncio.sleep(BLOCKED_SECONDS)
        await self.client.delete(POD_DISRUPTION_BUDGETS, blockade.NAME, blockade.SPACE)
        self.server.expire_watches()
        await self._ended(upgrade)
        broken = {
            "command": ["false"],
            "image": "broken:1",
            "backoffLimit": 0,
            "concurrency": 4,
            "stopOnFailure": True,
        }
        await self._ended(await self._create(NODE_OPS, broken))
        try:
            await self._create(NODE_OPS, {"command": ["df"], "drainOptions": {"enabled": True}})
        except ApiError:
            return  # a drain needs a cordon, says the webhook
        raise AssertionError("the webhook let a faulty object pass")

    async def _create(self, resource: Resource, spec: dict[str, Any]) -> tuple[Resource, str]:
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"generateName": "op-"},
            "spec": spec,
        }
        made = await self.client.create(resource, body, SPACE)
        return resource, made["metadata"]["name"]

    async def _status(self, made: tuple[Resource, str]) -> dict[str, Any]:
        return (await self.client.get(*made, SPACE)).get("status") or {}

    async def _ended(self, made: tuple[Resource, str]) -> None:
        async def over() -> bool:
            return (await self._status(made)).get("phase") in ("Completed", "Failed")

        await eventually(over, 150.0)

    async def _blocked(self, made: tuple[Resource, str]) -> bool:
        conditions = (await self._status(made)).get("conditions") or ()
        return any(one["type"] == "DrainBlocked" and one["status"] == "True" for one in conditions)


@asynccontextmanager
async def scene(program: Path, directory: Path) -> AsyncIterator[Scene]:
    """The cluster before anything happens; `program` is Prometheus."""
    webhooks, probes, metrics = free_ports(3)
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
    server = ApiServer(store, services={install.WEBHOOK_SERVICE: ("127.0.0.1", webhooks)})
    kubeconfig = directory / "kubeconfig"
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
        api = await Kr8sApi.connect(str(kubeconfig))
        stack.push_async_callback(api.close)
        client = KubeClient(api)
        await install.definitions(client)
        await install.webhooks(client, webhooks)
        options = FleetOptions(speed=SPEED, runs_programs=False)
        await stack.enter_async_context(
            Fleet(from_kubeconfig(server.kubeconfig()), FLEET, directory / "fleet", options)
        )
        await blockade.set_up(client, BLOCKED)
        command = install.operator_command(kubeconfig, probes, webhooks)
        command += [f"--metrics-bind-address=127.0.0.1:{metrics}", "--metrics-secure=false", "--leader-elect"]
        log = directory / "operator.log"
        operator = await stack.enter_async_context(
            running("the operator", command, log, install.OPERATOR_ENVIRONMENT)
        )
        await install.operator_ready(probes, operator)
        watcher = prometheus(program, f"127.0.0.1:{metrics}", directory / "prometheus")
        yield Scene(server, client, await stack.enter_async_context(watcher), time.time())
