"""The fleet on a real control plane: its Job controller, its garbage collector, its RBAC, its validation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import Cluster
from tests.sandbox import operation
from tests.sandbox.fleet import Agent, Fleet, FleetOptions, NodeSpec, Reboot, from_kubeconfig
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster
NODES = (
    NodeSpec("fleet-cp", control_plane=True),
    NodeSpec("fleet-good"),
    NodeSpec("fleet-back", reboot=Reboot(falls_back=True)),
    NodeSpec("fleet-bad", agent=Agent(exit_code=7, says="no space left")),
)


class Site:
    """A fleet and the cluster it is on."""

    def __init__(self, cluster: Cluster, fleet: Fleet) -> None:
        self.cluster = cluster
        self.fleet = fleet

    async def read(self, *args: str) -> dict[str, Any]:
        found: dict[str, Any] = await asyncio.to_thread(self.cluster.read, *args)
        return found

    async def create(self, *bodies: dict[str, Any]) -> None:
        await asyncio.to_thread(self.cluster.apply, *bodies)

    async def begin(self, node: str, **job: Any) -> None:
        """What the operator creates for a node, in its order."""
        await self.create(
            *operation.reboot_rights(node), operation.reboot_pod(node), operation.job(node, **job)
        )

    async def phase(self, pod: str) -> str:
        return str((await self.read("pod", pod))["status"]["phase"])

    async def until_phase(self, pod: str, phase: str) -> None:
        async def reached() -> bool:
            return await self.phase(pod) == phase

        await eventually(reached)


@pytest.fixture
async def site(real_control_plane: Cluster, tmp_path: Path) -> AsyncIterator[Site]:
    options = FleetOptions(speed=20, plays_job_controller=False, mints_tokens=True)
    access = from_kubeconfig(real_control_plane.kubeconfig)
    async with Fleet(access, NODES, tmp_path / "fleet", options) as fleet:
        yield Site(real_control_plane, fleet)
        for kind in ("jobs", "pods", "roles", "rolebindings"):
            await asyncio.to_thread(real_control_plane.kubectl, "delete", kind, "--all", "--timeout=30s")
    await asyncio.to_thread(real_control_plane.kubectl, "delete", "nodes", *(node.name for node in NODES))


async def test_nodes_register_with_leases_and_are_ready(site: Site) -> None:
    nodes = {one["metadata"]["name"]: one for one in (await site.read("nodes"))["items"]}
    assert {node.name for node in NODES} <= set(nodes)
    for node in NODES:
        ready = [one for one in nodes[node.name]["status"]["conditions"] if one["type"] == "Ready"]
        assert ready[0]["status"] == "True"
        assert nodes[node.name]["status"]["nodeInfo"]["bootID"] == site.fleet.node(node.name).boot_id
        lease = await site.read("lease", node.name, "-n", "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == node.name


async def test_a_node_is_upgraded_and_rebooted_with_the_rights_of_its_own_pod(site: Site) -> None:
    good = site.fleet.node("fleet-good")
    await site.begin("fleet-good")
    await eventually(lambda: good.boots == 2 and good.ready)
    await site.until_phase(operation.reboot_name("fleet-good"), "Succeeded")
    assert good.version == operation.TARGET
    assert good.programs_run == ["upgrade", "sentinel", "reboot", "reboot"]
    assert all(record.real for record in good.commands_run)
    job = await site.read("job", operation.job_name("fleet-good"))
    assert job["status"]["succeeded"] == 1
    assert "came back" in await site.fleet.pod_log(operation.NAMESPACE, operation.reboot_name("fleet-good"))

    await site.create(operation.check_pod("fleet-good", "preflight"))
    await site.until_phase("preflight-fleet-good", "Succeeded")
    ended = (await site.read("pod", "preflight-fleet-good"))["status"]["containerStatuses"][0]["state"][
        "terminated"
    ]
    assert ended["message"] == f"node is already at {operation.TARGET}"
    assert site.fleet.node("fleet-cp").commands_run == []


async def test_a_node_that_falls_back_fails_its_postflight(site: Site) -> None:
    back = site.fleet.node("fleet-back")
    await site.begin("fleet-back")
    await eventually(lambda: back.boots == 2 and back.ready)
    await site.create(operation.check_pod("fleet-back", "postflight"))
    await site.until_phase("postflight-fleet-back", "Failed")
    assert back.commands_run[-1].detail.startswith("node booted its passive system")


async def test_a_failing_agent_fails_the_job_and_the_node_stays_up(site: Site) -> None:
    bad = site.fleet.node("fleet-bad")
    await site.begin("fleet-bad", backoffLimit=0)
    await asyncio.to_thread(
        site.cluster.kubectl,
        "wait",
        "--for=condition=Failed",
        f"job/{operation.job_name('fleet-bad')}",
        "--timeout=30s",
    )
    assert bad.programs_run == ["upgrade"]
    assert "exit code 7" in bad.commands_run[0].detail
    assert (bad.boots, await site.phase(operation.reboot_name("fleet-bad"))) == (1, "Running")


async def test_without_a_role_the_reboot_pod_does_not_reboot(site: Site) -> None:
    account, *_ = operation.reboot_rights("fleet-good")
    await site.create(account, operation.reboot_pod("fleet-good"), operation.job("fleet-good"))
    pod = operation.reboot_name("fleet-good")
    await eventually(lambda: "sentinel" in site.fleet.node("fleet-good").programs_run)

    async def refused() -> bool:
        return "403" in await site.fleet.pod_log(operation.NAMESPACE, pod)

    await eventually(refused)
    assert site.fleet.node("fleet-good").boots == 1
