"""`python -m tests.sandbox.demo`: runs the demo. Exit code 0: it ended as it had to; 1: it did not; 130: Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from kairos_operator.runtime.errors import ApiError
from tests.cluster.controlplane import (
    Cluster,
    ControlPlaneUnavailableError,
    RunningCluster,
    find_control_plane,
    start_cluster,
)
from tests.sandbox.demo import options as flags
from tests.sandbox.demo.board import View
from tests.sandbox.demo.children import ChildEndedError
from tests.sandbox.demo.lines import Lines
from tests.sandbox.demo.options import Options
from tests.sandbox.demo.run import TookTooLongError, demo
from tests.sandbox.demo.screen import Screen
from tests.sandbox.demo.summary import tell, tell_how_to_go_on

INTERRUPTED = 130


def main() -> int:
    """Run the demo as the command line says; returns the exit code."""
    options, console = flags.parse(), Console()
    can_draw = console.is_terminal and not console.is_dumb_terminal
    view: View = Screen(console) if can_draw else Lines(console)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return play(options, view, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ApiError, ChildEndedError, TookTooLongError, ControlPlaneUnavailableError, TimeoutError) as fault:
        console.print(
            f"[bold red]The demo broke off:[/bold red] {escape(str(fault) or repr(fault))}", soft_wrap=True
        )
        return 1


def play(options: Options, view: View, console: Console) -> int:
    """Run the demo on a view; returns the exit code. Whatever it started has ended by then."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kairos-demo-")))
        real = stack.enter_context(_real_cluster(place, view)) if options.real else None
        return asyncio.run(_until_told(_run(options, view, console, place, real)))


def _real_cluster(place: Path, view: View) -> Cluster:
    found = find_control_plane(view.stage)
    if isinstance(found, RunningCluster):
        raise ControlPlaneUnavailableError(
            "the demo makes nodes of its own and does so in no cluster of yours: unset KAIROS_TEST_KUBECONFIG"
        )
    view.stage("Starting a real control plane")
    directory = place / "control-plane"
    directory.mkdir()
    return start_cluster(found, directory)


async def _until_told(run: Coroutine[Any, Any, int]) -> int:
    """Runs it; SIGINT, SIGTERM or SIGHUP cancel it once, and further ones do not disturb the clearing up."""
    task = asyncio.ensure_future(run)
    told: list[int] = []

    def end(number: int) -> None:
        if not told:
            told.append(number)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not told:
            raise
        return INTERRUPTED


async def _run(options: Options, view: View, console: Console, place: Path, real: Cluster | None) -> int:
    async with demo(options, view, place, real) as result:
        tell(console, result, options)
        code = 1 if result.faults else 0
        if options.keep:
            tell_how_to_go_on(console, result, real.kubectl_path if real else None)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return code
        else:
            console.print("To look around with kubectl: ./task demo -- --keep", highlight=False)
        return code


if __name__ == "__main__":
    sys.exit(main())
