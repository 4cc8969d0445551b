"""What a run says at its end: how each node fared, the verdict, and how to go on."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.sandbox.demo import roster
from tests.sandbox.demo.blockade import ways_in
from tests.sandbox.demo.board import Board
from tests.sandbox.demo.options import Options
from tests.sandbox.demo.run import Result


def tell(console: Console, result: Result, options: Options) -> None:
    """Print the summary."""
    board = result.board
    assert board.upgrade is not None
    out = _printer(console)
    out("")
    for name in board.order:
        out(f"  {name:<10} {escape(_fate(board, name))}")
    out("")
    out(f"[bold]{board.upgrade.phase}[/bold] after {result.seconds:.0f} s: {escape(board.upgrade.message)}")
    if result.faults:
        out("[bold red]This is not how it had to end:[/bold red]")
        for fault in result.faults:
            out(f"  - {escape(fault)}")
        out(f"The operator's log ends with:\n{escape(result.operator_log)}")
    else:
        out(f"[green]As expected:[/green] {escape(_expected(board, options))}")


def tell_how_to_go_on(console: Console, result: Result, kubectl: Path | None) -> None:
    """Print what to type into another terminal while everything stays up."""
    assert result.board.upgrade is not None
    out = _printer(console)
    program = "kubectl" if shutil.which("kubectl") or kubectl is None else shlex.quote(str(kubectl))
    plugin = "kubectl kairos" if shutil.which("kubectl") else "kubectl-kairos"
    out("\nEverything stays up until Ctrl-C. In another terminal:\n")
    upgrade = result.board.upgrade.name
    for line in (
        *ways_in(result.kubeconfig),
        f"{program} get nodeopupgrades,nodeops,jobs,nodes -o wide",
        f"{program} describe nodeopupgrade {upgrade}",
        f"{plugin} status {upgrade}",
        f"{plugin} logs {upgrade}",
        f"{plugin} plan -f {shlex.quote(str(roster.MANIFEST))}",
        f"{program} create -f {shlex.quote(str(roster.MANIFEST))}",
        f"{plugin} status --watch",
    ):
        out(f"  {escape(line)}")


def _printer(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, soft_wrap=True, highlight=False)


def _fate(board: Board, name: str) -> str:
    progress, before, now = board.progress(name), board.before.get(name), board.machines.get(name)
    outcome = progress.outcome or "Not started"
    versions = ""
    if before and now:
        versions = now.runs if before.runs == now.runs else f"{before.runs} -> {now.runs}"
    return f"{outcome:<12} {versions:<44} {progress.message}".rstrip()


def _expected(board: Board, options: Options) -> str:
    if options.fail:
        untouched = [name for name in board.order if not board.progress(name).outcome]
        rest = f"; {', '.join(untouched)} untouched" if untouched else ", which was the last to be started"
        return f"the new system of {options.fail} does not start, and so the upgrade stopped{rest}"
    held_up = f", {options.block} after its drain was let go" if options.block else ""
    at_once = {0: "all at once", 1: "one at a time"}.get(
        options.concurrency, f"{options.concurrency} at once"
    )
    return (
        f"control plane first, {at_once}, each node rebooted once and verified{held_up}; "
        f"{roster.up_to_date(options.nodes)} was left alone, as it was up to date"
    )
