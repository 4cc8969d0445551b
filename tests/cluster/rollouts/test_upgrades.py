"""Upgrades as users ask for them, from the first node to the last."""

from __future__ import annotations

import pytest

from kairos_operator.api.resources import JOBS, NODE_OPS, PODS
from tests.cluster.rollouts.arena import TARGET
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import Agent, NodeSpec, Release

pytestmark = pytest.mark.realcluster
NEW = Release("v3.4.2", "k3s", "v1.30.11-k3s1")
OLD = Release("v3.4.0")
UPGRADED = {"preflight", "upgrade", "sentinel", "reboot", "postflight"}


async def test_six_nodes_are_upgraded_control_plane_first_one_at_a_time(arena: Open) -> None:
    names = ["a-worker", "b-worker", "c-worker", "d-worker", "e-worker", "z-control-plane"]
    async with arena(*(NodeSpec(name, control_plane=name.startswith("z")) for name in names)) as a:
        await a.upgrade(concurrency=1, stopOnFailure=True)
        status = await a.upgraded()
        counts = {"total": 6, "pending": 0, "running": 0, "completed": 6, "skipped": 0, "failed": 0}
        assert status["summary"] == {**counts, "progress": "6/6"}
        for name in names:
            node = a.node(name)
            assert (node.version, node.boots, set(node.programs_run)) == (TARGET, 2, UPGRADED)
            assert all(record.real for record in node.commands_run)
            assert a.on(name, "up")["rebootStatus"] == "completed"
            assert not a.cordoned(name)
        checks = [one for one in a.fleet.journal if (one.event, one.container) == ("start", "preflight")]
        assert [one.node for one in checks] == [a.full(name) for name in ["z-control-plane", *names[:-1]]]


async def test_a_failure_stops_the_upgrade_and_nothing_further_is_touched(arena: Open) -> None:
    bad = NodeSpec("b", agent=Agent(exit_code=7, says="no space left on device"))
    async with arena(NodeSpec("a"), bad, NodeSpec("c"), NodeSpec("d")) as a:
        # The Job controller backs off for minutes before its sixth try: the deadline ends that.
        await a.upgrade(concurrency=1, stopOnFailure=True, jobTimeoutSeconds=4)
        status = await a.upgraded(phase="Failed")
        assert status["summary"]["failed"] == 1
        assert status["summary"]["pending"] == 2
        assert [a.on(name, "up")["phase"] for name in "abcd"] == ["Completed", "Failed", "Pending", "Pending"]
        for name in "cd":
            assert a.node(name).commands_run == []
            assert not a.cordoned(name)
        assert (a.node("a").version, a.node("b").version, a.node("b").boots) == (TARGET, OLD.triple, 1)
        assert a.on("b", "up")["rebootStatus"] == "cancelled"
        assert "exit code 7" in a.message("b", "up")
        assert a.cordoned("b")


async def test_a_node_at_the_target_is_skipped_without_job_cordon_or_reboot(arena: Open) -> None:
    async with arena(NodeSpec("new", release=NEW), NodeSpec("old")) as a:
        await a.upgrade(concurrency=1)
        status = await a.upgraded()
        assert (status["summary"]["skipped"], status["summary"]["completed"]) == (1, 1)
        assert a.on("new", "up")["message"] == f"Skipped by preflight: node is already at {TARGET}"
        assert a.node("new").programs_run == ["preflight"]
        cordons = [
            one.obj["spec"].get("unschedulable")
            for one in a.recorder.sightings
            if one.path[1] == a.full("new")
        ]
        assert not any(cordons)
        jobs = [
            one.obj["metadata"]["labels"]["kairos.io/node"]
            for one in a.recorder.sightings
            if one.resource is JOBS
        ]
        assert set(jobs) == {a.full("old")}
        assert not [pod for pod in await a.items(PODS) if "kairos.io/preflight" in pod["metadata"]["labels"]]


async def test_force_upgrades_without_a_preflight(arena: Open) -> None:
    async with arena(NodeSpec("new", release=NEW)) as a:
        await a.upgrade(force=True)
        await a.upgraded()
        assert set(a.node("new").programs_run) == UPGRADED - {"preflight"}
        assert [call for call in a.node("new").calls if "kairos-agent" in call]
        assert a.node("new").boots == 2


async def test_recovery_only_is_not_skipped_on_the_active_version_and_does_not_reboot(arena: Open) -> None:
    async with arena(NodeSpec("new", release=NEW), NodeSpec("old", release=OLD)) as a:
        await a.upgrade(upgradeActive=False, upgradeRecovery=True)
        await a.upgraded()
        for name, active in (("new", TARGET), ("old", OLD.triple)):
            node = a.node(name)
            assert (node.boots, node.version, node.recovery_version) == (1, active, TARGET)
            assert node.programs_run == ["preflight", "upgrade"]
            assert a.on(name, "up")["rebootStatus"] == "not-requested"


async def test_both_partitions_are_upgraded_recovery_first(arena: Open) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.upgrade(upgradeActive=True, upgradeRecovery=True)
        await a.upgraded()
        node = a.node("a")
        assert (node.version, node.recovery_version, node.boots) == (TARGET, TARGET, 2)
        agent = ["--recovery" in call for call in node.calls if call.startswith("kairos-agent")]
        assert agent == [True, False]


@pytest.mark.parametrize(("concurrency", "at_once"), [(0, 4), (3, 3)])
async def test_concurrency(arena: Open, concurrency: int, at_once: int) -> None:
    async with arena(*(NodeSpec(name) for name in "abcd")) as a:
        await a.upgrade(concurrency=concurrency)
        await a.upgraded()
        running = [
            one.obj["status"]["summary"]["running"]
            for one in a.recorder.sightings
            if one.resource is NODE_OPS and "summary" in one.obj.get("status", {})
        ]
        assert max(running) == at_once
