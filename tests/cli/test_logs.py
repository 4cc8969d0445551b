"""Logs of an operation: whole ones in their order, and live ones until it ends, across what breaks on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from typer.testing import CliRunner, Result

from kairos_operator.api.resources import NODE_OP_UPGRADES, PODS
from kairos_operator.cli.app import app
from kairos_operator.cli.exits import Exit
from tests.cli.values import IMAGE, ago, flying
from tests.runtime import stub as wire
from tests.runtime.stub import Stub
from tests.waiting import eventually

OPS, OP = NODE_OP_UPGRADES.path("default"), NODE_OP_UPGRADES.path("default", "op")
ALL_PODS = PODS.path("default")
NODES = {"w-1": flying("Job", began=50), "w-2": flying("Job", began=20)}


def operation(version: int, phase: str) -> dict[str, Any]:
    metadata = {"name": "op", "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    return {"kind": "NodeOpUpgrade", "metadata": metadata, "spec": {"image": IMAGE},
            "status": {"phase": phase, "nodeStatuses": NODES}}  # fmt: skip


def pod(
    node: str, version: int, *containers: str, role: str = "job", restarts: int = 0, of: str = "op"
) -> dict[str, Any]:
    """A pod of the operation whose named containers have begun."""
    statuses = [{"name": one, "restartCount": restarts, "state": {"running": {}}} for one in containers]
    metadata = {
        "name": f"{role}-{node}", "namespace": "default", "uid": f"{role}-{node}", "resourceVersion": str(version),
        "annotations": {"operator.kairos.io/node": node, "operator.kairos.io/nodeop": of},
        "creationTimestamp": ago(60 - version),
    }  # fmt: skip
    waiting = {"name": "later", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    status = {"phase": "Running", "initContainerStatuses": statuses, "containerStatuses": [waiting]}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": status}


def log(text: str, then: str = "close") -> wire.Reply:
    return wire.stream(*(line.encode() for line in text.splitlines(keepends=True)), then=then)


@pytest.fixture
async def server() -> AsyncIterator[Stub]:
    async with wire.serving() as stub:
        stub.on(f"GET {OP}", wire.answer(operation(1, "Running")))
        stub.on(f"GET {OPS}", wire.listing(1, operation(1, "Running")))
        stub.on(
            f"GET {ALL_PODS}", wire.listing(9, pod("w-2", 1, "nodeop"), pod("w-1", 2, "nodeop", "reboot"))
        )
        stub.on(f"GET {ALL_PODS}/job-w-1/log", log("one\ntwo"))
        stub.on(f"GET {ALL_PODS}/job-w-2/log", log("three\n"))
        yield stub


async def call(server: Stub, directory: Path, *arguments: str) -> Result:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["logs", "op", *arguments], env={"KUBECONFIG": str(kubeconfig)}
    )


async def test_each_line_has_its_node_and_the_first_node_comes_first(server: Stub, tmp_path: Path) -> None:
    result = await call(server, tmp_path)
    assert result.stdout.splitlines() == [
        "w-1 nodeop | one", "w-1 nodeop | two", "w-1 reboot | one", "w-1 reboot | two", "w-2 nodeop | three",
    ]  # fmt: skip
    assert result.exit_code == 0


async def test_one_node_can_be_asked_for_and_its_last_lines(server: Stub, tmp_path: Path) -> None:
    result = await call(server, tmp_path, "w-2", "--tail", "5", "--timestamps")
    assert result.stdout == "w-2 nodeop | three\n"
    (asked,) = server.seen(f"GET {ALL_PODS}/job-w-2/log")
    assert dict(asked.query) == {"container": "nodeop", "timestamps": "true", "tailLines": "5"}
    assert (await call(server, tmp_path, "w-9")).exit_code == Exit.REFUSED


async def test_a_log_that_is_gone_does_not_hide_the_others(server: Stub, tmp_path: Path) -> None:
    server.on(f"GET {ALL_PODS}/job-w-1/log", wire.status(404, "NotFound", "pods job-w-1 not found"))
    result = await call(server, tmp_path)
    assert result.stdout == "w-2 nodeop | three\n"
    assert "w-1 nodeop: pods job-w-1 not found" in result.stderr


async def test_a_pod_of_another_operation_with_the_same_short_name_is_left_out(
    server: Stub, tmp_path: Path
) -> None:
    server.on(f"GET {ALL_PODS}", wire.listing(9, pod("w-2", 1, "nodeop", of="another")))
    result = await call(server, tmp_path)
    assert result.stdout == ""
    assert "no pod of it" in result.stderr


def once(fact: Callable[[], object], *chunks: bytes) -> wire.Reply:
    """A watch that speaks once the fact is true, and then stays open."""

    async def reply(request: web.Request) -> web.StreamResponse:
        await eventually(fact)
        return await wire.stream(*chunks, then="hang")(request)

    return reply


async def test_following_ends_with_the_operation_and_shows_pods_that_come_later(
    server: Stub, tmp_path: Path
) -> None:
    first, later = f"GET {ALL_PODS}/job-w-1/log", f"GET {ALL_PODS}/reboot-w-1/log"
    server.on(f"GET {ALL_PODS}", wire.listing(9, pod("w-1", 2, "nodeop")))
    server.on(later, log("rebooting\n"))
    joined = wire.event("ADDED", pod("w-1", 10, "reboot", role="reboot"))
    server.on(f"WATCH {ALL_PODS}", once(lambda: server.seen(first), joined))
    server.on(
        f"WATCH {OPS}", once(lambda: server.seen(later), wire.event("MODIFIED", operation(11, "Failed")))
    )
    result = await call(server, tmp_path, "--follow")
    assert result.exit_code == Exit.FAILED
    assert result.stdout.splitlines() == ["w-1 nodeop | one", "w-1 nodeop | two", "w-1 reboot | rebooting"]
    assert server.seen(first)[0].query["follow"] == "true"


async def test_a_container_that_starts_again_is_followed_again(server: Stub, tmp_path: Path) -> None:
    path = f"GET {ALL_PODS}/reboot-w-1/log"
    server.on(f"GET {ALL_PODS}", wire.listing(9, pod("w-1", 2, "reboot", role="reboot")))
    server.on(path, log("before\n", then="abort"), log("after\n"))
    again = wire.event("MODIFIED", pod("w-1", 10, "reboot", role="reboot", restarts=1))
    server.on(f"WATCH {ALL_PODS}", once(lambda: server.seen(path), again))
    over = wire.event("MODIFIED", operation(11, "Completed"))
    server.on(f"WATCH {OPS}", once(lambda: len(server.seen(path)) == 2, over))
    result = await call(server, tmp_path, "-f")
    assert result.exit_code == 0
    assert "w-1 reboot | after" in result.stdout
    assert "the log broke off in the middle, as it does when the node reboots" in result.stderr
