"""The plugin, the operator and a fleet together: what goes wrong is watched, understood and put right."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kairos_operator.api.resources import NAMESPACES, POD_DISRUPTION_BUDGETS, PODS, Resource
from kairos_operator.cli.exits import Exit
from tests.cli.site import TARGET, Site, site
from tests.sandbox.fleet import NodeSpec, Outcome, Rule
from tests.waiting import eventually

REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets")
OLD_SYSTEM = Rule(Outcome(exit_code=1, message="still the old system"), container="postflight", times=1)
SERVES = Rule(Outcome(hangs=True), container="web")
SAYS = Rule(Outcome(log="1 file system\n"), container="nodeop", image="busybox:*")
NO_IMAGE = Rule(Outcome(pull_error="no such tag"), image="*missing*")
FLEET = (
    NodeSpec("cp-1", control_plane=True, rules=(SAYS,)),
    NodeSpec("w-1", rules=(OLD_SYSTEM, SERVES)),
    NodeSpec("w-2", rules=(NO_IMAGE,)),
)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, FLEET, operator=True) as found:
        yield found


async def test_an_upgrade_that_fails_is_understood_and_retried(fleet: Site) -> None:
    flags = ("-c", "1", "--stop-on-failure", "--name", "u")
    failed = await fleet.call("upgrade", TARGET, *flags, "--watch", "--timeout", "2m")
    assert failed.exit_code == Exit.FAILED, failed.output
    assert "cp-1 Completed" in failed.stdout
    assert "w-1 Failed" in failed.stdout
    assert "w-2" not in failed.stdout
    why = await fleet.call("why", "u")
    assert why.exit_code == Exit.FAILED
    assert "It failed on w-1" in why.stdout
    assert "because of stopOnFailure, 1 node not started" in why.stdout
    again = await fleet.call("retry", "u", "--watch", "--timeout", "2m")
    assert again.exit_code == 0, again.output
    history = json.loads((await fleet.call("history", "-o", "json")).stdout)
    assert [set(one["status"]["nodeStatuses"]) for one in history["items"]] == [
        {"w-1", "w-2"},
        {"cp-1", "w-1", "w-2"},
    ]


async def reason(fleet: Site, name: str) -> str:
    """What `why` names."""
    told: dict[str, Any] = json.loads((await fleet.call("why", name, "-o", "json")).stdout)
    return str(told["reason"])


async def test_an_image_that_cannot_be_pulled_is_named(fleet: Site) -> None:
    await fleet.call(
        "run", "--name", "op", "--image", "registry.example/missing:1", "--node", "w-2", "--", "df"
    )

    async def named() -> bool:
        return await reason(fleet, "op") == "ImagePull"

    await eventually(named)
    told = await fleet.call("why", "op")
    assert told.exit_code == Exit.UNFINISHED
    assert "On w-2" in told.stdout
    assert "no such tag" in told.stdout


async def test_a_blocked_drain_is_foreseen_and_explained_and_goes_on(fleet: Site) -> None:
    _shop(fleet)
    await eventually(lambda: fleet.store.get(PODS, "web-1", "shop")["status"]["phase"] == "Running")
    drain = ("run", "--drain", "--node", "w-1", "--name", "op")
    manifest = (await fleet.call(*drain, "--dry-run=client", "-o", "yaml", "--", "df")).stdout
    plan = await fleet.call("plan", "-f", "-", stdin=manifest)
    assert plan.exit_code == Exit.UNFINISHED
    assert "stops: budget shop/web allows no eviction now" in plan.stdout
    await fleet.call(*drain, "--", "df")

    async def named() -> bool:
        return await reason(fleet, "op") == "DrainBlocked"

    await eventually(named)
    told = await fleet.call("why", "op")
    assert "shop/web-1 on w-1" in told.stdout
    assert "What to do: " in told.stdout
    fleet.store.patch(POD_DISRUPTION_BUDGETS, "web", {"spec": {"minAvailable": 0}}, "shop")
    ended = await fleet.call("status", "op", "--watch", "--timeout", "1m")
    assert ended.exit_code == 0, ended.output


async def test_a_log_is_followed_across_the_reboot_of_its_node(fleet: Site) -> None:
    await fleet.call("run", "--name", "op", "--reboot", "--node", "cp-1", "--", "df")
    said = await fleet.call("logs", "op", "-f")
    assert said.exit_code == 0, said.output
    assert "cp-1 nodeop | 1 file system" in said.stdout
    assert "501" not in said.output


def _shop(fleet: Site) -> None:
    """A pod on w-1 whose budget allows no eviction."""
    fleet.store.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    selector = {"matchLabels": {"app": "web"}}
    containers = {"containers": [{"name": "web", "image": "web:1"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": containers}
    replicas = {"metadata": {"name": "web"}, "spec": {"selector": selector, "template": template}}
    made = fleet.store.create(
        REPLICA_SETS, {"apiVersion": "apps/v1", "kind": "ReplicaSet", **replicas}, "shop"
    )
    owner = {"name": "web", "uid": made["metadata"]["uid"], "controller": True}
    owners = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", **owner}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "labels": {"app": "web"}, "ownerReferences": owners},
        "spec": {**containers, "nodeName": "w-1"},
    }
    fleet.store.create(PODS, pod, "shop")
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": selector}}
    fleet.store.create(
        POD_DISRUPTION_BUDGETS,
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **budget},
        "shop",
    )
