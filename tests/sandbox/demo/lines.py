"""A run as plain lines, one for each change: for logs, pipes and terminals that can do no more."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape

from tests.sandbox.demo.board import Board, Machine, Progress


class Lines:
    """Prints what is new since it was last called."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._progress: dict[str, Progress] = {}
        self._machines: dict[str, str] = {}
        self._told = 0
        self._phase = ""

    def stage(self, text: str) -> None:
        """Something is done that is not the operator's doing."""
        self._say("", text)

    def begin(self, board: Board) -> None:
        """The upgrade exists."""
        self._machines = {name: _state(machine) for name, machine in board.machines.items()}
        for name in board.order:
            self._say(name, self._machines[name])

    def changed(self, board: Board) -> None:
        """Print what is new."""
        self._happenings(board)
        for name in board.order:
            progress, machine = board.progress(name), board.machines.get(name)
            state = _state(machine) if machine else "gone"
            if self._machines.get(name) != state:
                self._machines[name] = state
                self._say(name, state)
            if self._progress.get(name, Progress()) != progress:
                self._progress[name] = progress
                self._say(name, f"{progress.phase}/{progress.step}: {progress.message}")
        if board.upgrade and board.upgrade.phase != self._phase:
            self._phase = board.upgrade.phase
            self._say(board.upgrade_name, f"{self._phase}: {board.upgrade.message}")

    def end(self, board: Board) -> None:
        """Print what is still new."""
        self.changed(board)

    def _happenings(self, board: Board) -> None:
        for happening in board.happenings[self._told :]:
            self._say(happening.node or board.upgrade_name, f"event {happening.reason}: {happening.text}")
        self._told = len(board.happenings)

    def _say(self, about: str, text: str) -> None:
        elapsed = time.monotonic() - self._began
        about = f"{about:<10} " if about else ""
        self._console.print(f"{elapsed:6.1f}s  {about}{escape(text)}", soft_wrap=True, highlight=False)


def _state(machine: Machine) -> str:
    words = "Ready" if machine.ready else "NotReady"
    return f"{words}{', cordoned' if machine.cordoned else ''}, runs {machine.runs}"
