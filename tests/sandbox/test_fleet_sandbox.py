"""The fleet on the sandbox's API server: it plays the Job controller too, and survives the server's faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kairos_operator.api.resources import JOBS, NODES, PODS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Resource
from tests.sandbox import operation
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.fleet import Agent, Fleet, FleetOptions, NodeSpec, Outcome, Reboot, Rule, from_kubeconfig
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock
from tests.waiting import eventually

BY_KIND: dict[str, Resource] = {one.kind: one for one in (PODS, JOBS, ROLES, ROLE_BINDINGS, SERVICE_ACCOUNTS)}
NODE_SPECS = (
    NodeSpec("good"),
    NodeSpec("bad", agent=Agent(exit_code=7)),
    NodeSpec("gone", reboot=Reboot(comes_back=False)),
    NodeSpec("slow", rules=(Rule(Outcome(hangs=True)),)),
)


class Site:
    """The sandbox with a fleet on it."""

    def __init__(self, store: Store, server: ApiServer, fleet: Fleet) -> None:
        self.store, self.server, self.fleet = store, server, fleet

    def create(self, *bodies: dict[str, Any]) -> None:
        for body in bodies:
            self.store.create(BY_KIND[body["kind"]], body, operation.NAMESPACE)

    def begin(self, node: str, **job: Any) -> None:
        """What the operator creates for a node."""
        self.create(*operation.reboot_rights(node), operation.reboot_pod(node), operation.job(node, **job))

    def phase(self, pod: str) -> str:
        return str(self.store.get(PODS, pod, operation.NAMESPACE)["status"]["phase"])

    def verdict(self, node: str) -> str:
        status = self.store.get(JOBS, operation.job_name(node), operation.NAMESPACE).get("status", {})
        return str(status["conditions"][-1]["type"]) if status.get("conditions") else ""

    def ready(self, node: str) -> str:
        conditions = self.store.get(NODES, node)["status"]["conditions"]
        return str(next(one["status"] for one in conditions if one["type"] == "Ready"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix)
    server = ApiServer(store)
    await server.start()
    try:
        options = FleetOptions(speed=20, mints_tokens=True)
        async with Fleet(
            from_kubeconfig(server.kubeconfig()), NODE_SPECS, tmp_path / "fleet", options
        ) as fleet:
            yield Site(store, server, fleet)
    finally:
        await server.stop()


async def test_a_node_is_upgraded_and_rebooted(site: Site) -> None:
    good = site.fleet.node("good")
    site.begin("good")
    await eventually(lambda: good.boots == 2 and good.ready)
    await eventually(lambda: site.phase(operation.reboot_name("good")) == "Succeeded")
    assert site.verdict("good") == "Complete"
    assert good.version == operation.TARGET
    assert good.programs_run == ["upgrade", "sentinel", "reboot", "reboot"]
    await eventually(lambda: site.ready("good") == "True")


async def test_faults_of_the_server_change_nothing_in_the_end(site: Site) -> None:
    good = site.fleet.node("good")
    site.begin("good")
    site.server.drop_connections()
    await eventually(lambda: "upgrade" in good.programs_run)
    site.server.expire_watches()
    await eventually(lambda: good.boots == 2)
    await site.server.restart()
    await eventually(lambda: site.phase(operation.reboot_name("good")) == "Succeeded")
    assert site.verdict("good") == "Complete"
    assert good.programs_run == ["upgrade", "sentinel", "reboot", "reboot"]


async def test_a_failing_job_is_tried_again_up_to_its_limit(site: Site) -> None:
    site.begin("bad", backoffLimit=1)
    await eventually(lambda: site.verdict("bad") == "Failed")
    assert site.fleet.node("bad").programs_run == ["upgrade", "upgrade"]
    assert site.fleet.node("bad").boots == 1


async def test_a_node_that_never_comes_back_stays_not_ready_until_it_is_switched_on(site: Site) -> None:
    gone = site.fleet.node("gone")
    site.begin("gone")
    await eventually(lambda: gone.power == "down" and site.ready("gone") == "False")
    assert gone.boots == 1
    site.fleet.power_on("gone")
    await eventually(lambda: site.phase(operation.reboot_name("gone")) == "Succeeded")
    assert gone.version == operation.TARGET


async def test_deleting_a_job_removes_its_pod(site: Site) -> None:
    site.create(operation.job("slow"))
    await eventually(lambda: any(site.phase(one["metadata"]["name"]) for one in site.store.list(PODS).items))
    site.store.delete(JOBS, operation.job_name("slow"), operation.NAMESPACE, propagation="Background")
    await eventually(lambda: not site.store.list(PODS).items)


async def test_a_node_can_leave_and_another_join(site: Site) -> None:
    site.create(operation.reboot_pod("slow"))
    await site.fleet.remove_node("slow")
    assert "slow" not in {one["metadata"]["name"] for one in site.store.list(NODES).items}
    await eventually(lambda: not site.store.list(PODS).items)
    await site.fleet.add_node(NodeSpec("slow"))
    await eventually(lambda: site.ready("slow") == "True")
    site.create(operation.check_pod("slow", "preflight"))
    await eventually(lambda: site.phase("preflight-slow") == "Succeeded")


async def test_a_running_program_can_be_listened_to(site: Site) -> None:
    site.create(*operation.reboot_rights("good"), operation.reboot_pod("good"))

    async def waits() -> bool:
        said = await site.fleet.pod_log(operation.NAMESPACE, operation.reboot_name("good"))
        return "Waiting for" in said

    await eventually(lambda: site.fleet.journal.of("good", "start"))
    await eventually(waits)
    with pytest.raises(KeyError):
        await site.fleet.pod_log(operation.NAMESPACE, "no-such-pod")
