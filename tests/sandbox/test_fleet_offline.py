"""The fleet on the in-memory store: a whole node's upgrade in virtual time, with nothing executed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kairos_operator.api.resources import JOBS, NODES, PODS
from tests.sandbox import operation
from tests.sandbox.fleet import Agent, NodeSpec, Reboot
from tests.sandbox.fleet.offline import StoreFleet
from tests.sandbox.store import Store, counting_suffixes, counting_uids


class World:
    """A store, a fleet on it, and a clock that jumps from one due time to the next."""

    def __init__(self, *nodes: NodeSpec) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.store = Store(clock=lambda: self.now, uids=counting_uids(), suffixes=counting_suffixes())
        self.fleet = StoreFleet(self.store, nodes, lambda: self.now)
        self.fleet.register()

    def run(self, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        for _ in range(10_000):
            if self.fleet.step():
                continue
            due = self.fleet.due()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(due, self.now)
        raise AssertionError("the fleet does not come to rest")

    def begin(self, node: str) -> None:
        """What the operator creates for a node."""
        self.store.create(PODS, operation.reboot_pod(node), operation.NAMESPACE)
        self.store.create(JOBS, operation.job(node, backoffLimit=1), operation.NAMESPACE)

    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.store.get(PODS, name, operation.NAMESPACE)
        return found

    def verdict(self, node: str) -> str:
        status = self.store.get(JOBS, operation.job_name(node), operation.NAMESPACE).get("status", {})
        return str(status["conditions"][-1]["type"]) if status.get("conditions") else ""

    def boot_id(self, node: str) -> str:
        return str(self.store.get(NODES, node)["status"]["nodeInfo"]["bootID"])


def test_a_node_is_upgraded_and_rebooted_once() -> None:
    world = World(NodeSpec("a"), NodeSpec("b"))
    before = world.boot_id("a")
    world.begin("a")
    world.run(300)
    assert world.verdict("a") == "Complete"
    reboot = world.pod(operation.reboot_name("a"))
    assert reboot["status"]["phase"] == "Succeeded"
    assert reboot["metadata"]["annotations"]["kairos.io/reboot-boot-id"] == before
    assert world.boot_id("a") != before
    node = world.fleet.node("a")
    assert (node.version, node.boots, node.ready) == (operation.TARGET, 2, True)
    assert node.programs_run == ["upgrade", "sentinel", "reboot", "reboot"]
    assert (world.fleet.node("b").boots, world.fleet.node("b").commands_run) == (1, [])


def test_a_failing_job_never_reboots_its_node() -> None:
    world = World(NodeSpec("a", agent=Agent(exit_code=7)))
    world.begin("a")
    world.run(600)
    assert world.verdict("a") == "Failed"
    assert world.fleet.node("a").boots == 1
    assert world.fleet.node("a").programs_run == ["upgrade", "upgrade"]
    assert world.pod(operation.reboot_name("a"))["status"]["phase"] == "Running"


def test_a_refused_reboot_fails_the_pod_with_its_reason() -> None:
    world = World(NodeSpec("a", reboot=Reboot(refused="no init")))
    world.begin("a")
    world.run(60)
    pod = world.pod(operation.reboot_name("a"))
    assert pod["metadata"]["annotations"]["kairos.io/reboot-state"] == "failed: no init"
    assert world.fleet.node("a").boots == 1


@pytest.mark.parametrize("falls_back", [False, True])
def test_a_postflight_tells_which_system_came_back(falls_back: bool) -> None:
    world = World(NodeSpec("a", reboot=Reboot(falls_back=falls_back)))
    world.begin("a")
    world.run(120)
    world.store.create(PODS, operation.check_pod("a", "postflight"), operation.NAMESPACE)
    world.run(20)
    assert world.pod("postflight-a")["status"]["phase"] == ("Failed" if falls_back else "Succeeded")


def test_a_preflight_tells_that_there_is_nothing_to_do() -> None:
    world = World(NodeSpec("a"))
    world.begin("a")
    world.run(120)
    world.store.create(PODS, operation.check_pod("a", "preflight"), operation.NAMESPACE)
    world.run(20)
    ended = world.pod("preflight-a")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["message"] == f"node is already at {operation.TARGET}"


def test_the_same_world_twice_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        world = World(NodeSpec("a"), NodeSpec("b", agent=Agent(exit_code=1)))
        world.begin("a")
        world.begin("b")
        world.run(600)
        stories.append(world.fleet.journal.records)
    assert stories[0] == stories[1]
    assert stories[0]
