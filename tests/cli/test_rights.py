"""With fewer rights than all: what may be read is told, what may not is said to be unknown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from kairos_operator.api.resources import (
    JOBS,
    LEASES,
    NAMESPACES,
    NODE_OP_UPGRADES,
    NODE_OPS,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    Resource,
)
from kairos_operator.cli.app import app
from kairos_operator.cli.exits import Exit
from tests.cli.values import IMAGE, ago, flying
from tests.runtime import stub as wire
from tests.runtime.stub import Stub


def refuse(stub: Stub, verb: str, path: str) -> None:
    text = f'{path} is forbidden: User "jane" cannot {verb} it'
    stub.on(f"GET {path}", wire.status(403, "Forbidden", text))


@pytest.fixture
async def server() -> AsyncIterator[Stub]:
    """A cluster that lets its user read one namespace."""
    async with wire.serving() as stub:
        status = {"phase": "Running", "nodeStatuses": {"w-1": flying("Job", message="running")}}
        upgrade = {
            "metadata": {"name": "op", "namespace": "default", "uid": "u", "creationTimestamp": ago(9)},
            "spec": {"image": IMAGE, "concurrency": 1},
            "status": status,
        }
        stub.on(f"GET {NODE_OP_UPGRADES.path('default', 'op')}", wire.answer(upgrade))
        stub.on(f"GET {NODE_OPS.path('default', 'op')}", wire.status(404, "NotFound", "no such"))
        for resource in (PODS, JOBS):
            stub.on(f"GET {resource.path('default')}", wire.listing(1))
        for resource in (PODS, POD_DISRUPTION_BUDGETS, LEASES, NODES):
            refuse(stub, "list", resource.path())
        refuse(stub, "get", NODES.path(None, "w-1"))
        refuse(stub, "get", NAMESPACES.path(None, "default"))
        yield stub


async def call(server: Stub, directory: Path, *arguments: str) -> Result:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    return await asyncio.to_thread(
        CliRunner().invoke, app, list(arguments), env={"KUBECONFIG": str(kubeconfig)}
    )


def nodes(*names: str) -> list[dict[str, Any]]:
    return [wire.node(name, 1) for name in names]


async def test_why_gets_on_without_nodes_and_lease(server: Stub, tmp_path: Path) -> None:
    result = await call(server, tmp_path, "why", "op", "-o", "json")
    assert result.exit_code == Exit.UNFINISHED, result.output
    assert json.loads(result.stdout)["reason"] == "Moving"


async def test_a_plan_says_what_it_may_not_know(server: Stub, tmp_path: Path) -> None:
    server.on(f"GET {NODES.path()}", wire.listing(1, *nodes("w-1", "w-2")))
    result = await call(server, tmp_path, "plan", "op")
    assert "you may not list the pods of all namespaces" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "resource"),
    [(["plan", "op"], NODES), (["history", "-A"], NODE_OP_UPGRADES), (["status", "-A"], NODE_OP_UPGRADES)],
)
async def test_what_cannot_be_done_without_a_right_names_it(
    server: Stub, tmp_path: Path, arguments: list[str], resource: Resource
) -> None:
    refuse(server, "list", resource.path())
    result = await call(server, tmp_path, *arguments)
    assert result.exit_code == Exit.REFUSED
    assert "not allowed: " in result.stderr
    assert "cannot list it" in result.stderr
    assert "kubectl auth can-i --list" in result.stderr
