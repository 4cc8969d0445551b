"""Watching: as many requests as it takes and no more, through breaks, and what it looks like on a terminal."""

from __future__ import annotations

import asyncio
import io
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.cli.app import app
from kairos_operator.cli.board import board
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.status import pictured
from tests.cli.values import IMAGE, NOW, done, flying, operation, waiting
from tests.runtime import stub as wire
from tests.runtime.stub import Stub

ALL, ONE = NODE_OP_UPGRADES.path("default"), NODE_OP_UPGRADES.path("default", "op")


def upgrade(version: int, phase: str, message: str) -> dict[str, Any]:
    metadata = {"name": "op", "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    status = {"phase": phase, "message": message}
    return {"kind": "NodeOpUpgrade", "metadata": metadata, "spec": {"image": IMAGE}, "status": status}


def modified(version: int, phase: str, message: str) -> bytes:
    return wire.event("MODIFIED", upgrade(version, phase, message))


async def watch(stub: Stub, directory: Path) -> Result:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(stub.kubeconfig()))
    arguments = ["status", "op", "--watch", "--timeout", "30s"]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"KUBECONFIG": str(kubeconfig)})


async def test_a_whole_upgrade_takes_three_requests(tmp_path: Path) -> None:
    async with wire.serving() as stub:
        stub.on(f"GET {ONE}", wire.answer(upgrade(1, "Running", "one")))
        stub.on(f"GET {ALL}", wire.listing(1, upgrade(1, "Running", "one")))
        events = [modified(number, "Running", f"step {number}") for number in range(2, 20)]
        stub.on(f"WATCH {ALL}", wire.stream(*events, modified(20, "Completed", "all"), then="hang"))
        result = await watch(stub, tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].endswith("Completed: all")
    assert [request.path for request in stub.requests] == [ONE, ALL, ALL]
    assert logging.getLogger("kairos_operator").propagate  # as it was before
    assert {request.query.get("fieldSelector") for request in stub.requests[1:]} == {"metadata.name=op"}


async def test_a_watch_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    async with wire.serving() as stub:
        stub.on(f"GET {ONE}", wire.answer(upgrade(1, "Running", "one")))
        stub.on(f"GET {ALL}", wire.listing(1, upgrade(1, "Running", "one")))
        broken = wire.stream(modified(2, "Running", "two"), then="abort")
        stub.on(f"WATCH {ALL}", broken, wire.stream(modified(3, "Failed", "three"), then="hang"))
        result = await watch(stub, tmp_path)
    assert result.exit_code == Exit.FAILED
    assert [request.query["resourceVersion"] for request in stub.seen(f"WATCH {ALL}")] == ["1", "2"]


async def test_an_operation_that_is_deleted_ends_the_watch(tmp_path: Path) -> None:
    async with wire.serving() as stub:
        stub.on(f"GET {ONE}", wire.answer(upgrade(1, "Running", "one")))
        stub.on(f"GET {ALL}", wire.listing(1, upgrade(1, "Running", "one")))
        gone = wire.event("DELETED", upgrade(2, "Running", "one"))
        stub.on(f"WATCH {ALL}", wire.stream(gone, then="hang"))
        result = await watch(stub, tmp_path)
    assert result.exit_code == Exit.REFUSED
    assert "was deleted meanwhile" in result.stderr


def drawn(nodes: dict[str, Any], width: int) -> list[str]:
    """The board as a terminal of this width shows it."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    console.print(pictured(board(operation(nodes), NOW)))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_of_any_width_shows_every_node_and_the_end_of_a_long_message(width: int) -> None:
    nodes = {"w-1": flying("Drain", 75, message="Draining: " + "word " * 40 + "END"), "w-2": waiting()}
    lines = drawn(nodes, width)
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("w-2 ") for line in lines)
    assert any("END" in line for line in lines)


def test_markup_in_a_message_is_shown_and_not_obeyed() -> None:
    assert any(
        "[red]x[/red] [/nope]" in line
        for line in drawn({"w-1": done(3, message="[red]x[/red] [/nope]")}, 120)
    )


def test_a_thousand_nodes_fit_on_a_screen() -> None:
    nodes = {f"n-{number:04}": waiting() for number in range(950)} | {
        f"d-{number}": done(60) for number in range(46)
    }
    nodes |= {f"f-{number}": flying("Job", message="running") for number in range(4)}
    assert len(drawn(nodes, 100)) < 24
