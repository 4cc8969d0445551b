"""What goes wrong on a node is told where the user looks first, while it lasts."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.resources import JOBS, NAMESPACES, NODES, Resource
from tests.cluster.rollouts.conftest import Open
from tests.sandbox.fleet import NodeSpec, Outcome, Rule
from tests.waiting import eventually

pytestmark = pytest.mark.realcluster
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas")


def checked(preflight: bool) -> dict[str, Any]:
    """A NodeOp's fields: the first pod that is refused is the preflight's, or else the Job's."""
    return {"preflight": {"command": ["check"]}} if preflight else {}


async def test_an_image_that_cannot_be_pulled_is_told_while_it_lasts(arena: Open) -> None:
    why = 'ErrImagePull: failed to resolve "busybox:nope": not found'
    async with arena(NodeSpec("a", rules=(Rule(Outcome(pull_error=why), container="nodeop"),))) as a:
        await a.node_op()
        await a.until_says("a", "not found")
        assert "container nodeop is waiting" in a.message("a")
        a.fleet.change(a.full("a"), rules=())
        await a.finished()
        assert "waiting" not in a.message("a")


async def test_a_failed_command_is_told_with_its_exit_code_and_its_last_lines(arena: Open) -> None:
    log = "\n".join(f"step {number}" for number in range(200)) + "\ngrub-install: cannot find EFI directory"
    outcome = Outcome(exit_code=42, log=log)
    async with arena(NodeSpec("a", rules=(Rule(outcome, container="nodeop"),))) as a:
        await a.node_op(backoffLimit=0)
        await a.finished(phase="Failed")
        for part in ("exited with code 42", "grub-install: cannot find EFI directory", "step 199"):
            assert part in a.message("a")
        assert len(a.message("a")) <= 1024
        assert "code 42" in await a.event("JobFailed")


async def test_a_command_that_hangs_fails_at_its_deadline(arena: Open) -> None:
    async with arena(NodeSpec("a", rules=(Rule(Outcome(hangs=True), container="nodeop"),))) as a:
        await a.node_op(jobTimeoutSeconds=3, cordon=True)
        await a.finished(phase="Failed")
        assert "DeadlineExceeded" in a.message("a")


async def test_a_preflight_that_fails_fails_the_node_and_nothing_happens_to_it(arena: Open) -> None:
    bad = Rule(Outcome(exit_code=3, message="the disk is full"), container="preflight")
    async with arena(NodeSpec("a", rules=(bad,)), NodeSpec("b")) as a:
        check = {"command": ["check"], "activeDeadlineSeconds": 3}
        await a.node_op(preflight=check, cordon=True, stopOnFailure=True, concurrency=1)
        await a.finished(phase="Failed")
        assert a.message("a").startswith("Preflight failed: ")
        assert "the disk is full" in a.message("a")
        assert not any(
            one.obj["spec"].get("unschedulable") for one in a.recorder.sightings if one.resource is NODES
        )
        assert not [one for one in a.recorder.sightings if one.resource is JOBS]


async def test_a_custom_postflight_fails_the_node_with_its_message(arena: Open) -> None:
    bad = Rule(Outcome(exit_code=1, message="the service is down"), container="postflight")
    async with arena(NodeSpec("a", rules=(bad,))) as a:
        await a.node_op(postflight={"command": ["check"]})
        await a.finished(phase="Failed")
        assert "Postflight failed" in a.message("a")
        assert "the service is down" in a.message("a")


@pytest.mark.parametrize("preflight", [False, True])
async def test_a_refusal_by_pod_security_is_told_and_once_it_ends_the_work_goes_on(
    arena: Open, preflight: bool
) -> None:
    async with arena(NodeSpec("a")) as a:
        label = "pod-security.kubernetes.io/enforce"
        space = await a.namespace("strict", **{label: "restricted"})
        await a.node_op(namespace=space, **checked(preflight))
        await a.until(lambda: "violates PodSecurity" in a.message("a", namespace=space), "it is told")
        await a.patch(NAMESPACES, space, {"metadata": {"labels": {label: None}}})
        await a.finished(namespace=space)


@pytest.mark.parametrize("preflight", [False, True])
async def test_a_refusal_by_a_quota_is_told_and_once_it_ends_the_work_goes_on(
    arena: Open, preflight: bool
) -> None:
    async with arena(NodeSpec("a")) as a:
        await a.create(QUOTAS, "none", {"spec": {"hard": {"pods": "0"}}})

        async def in_force() -> bool:
            return bool((await a.read(QUOTAS, "none")).get("status", {}).get("hard"))

        await eventually(in_force)
        await a.node_op(**checked(preflight))
        await a.until_says("a", "exceeded quota")
        await a.delete(QUOTAS, "none")
        await a.finished()
