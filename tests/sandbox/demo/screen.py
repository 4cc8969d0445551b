"""A run on a terminal: the fleet as a table, a progress bar, and the latest events, drawn in place."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tests.sandbox.demo import roster
from tests.sandbox.demo.board import Board, Happening, Machine, Progress

EVENTS_SHOWN = 6
WITH_ROLE = 100
"""Columns of a terminal from which on the roles are shown."""
_BEAT = "◐◓◑◒"
_BEATS_PER_SECOND = 6
_COLOURS = {
    "Pending": "dim",
    "Preflight": "cyan",
    "Running": "yellow",
    "Completed": "green",
    "Failed": "bold red",
}


class Screen:
    """Draws the board, again whenever something is new and several times a second for what moves by itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._board: Board | None = None
        self._began = time.monotonic()
        self._ended: float | None = None

    def stage(self, text: str) -> None:
        """Something is done that is not the operator's doing."""
        self._console.print(Text.assemble(("● ", "blue"), text))

    def begin(self, board: Board) -> None:
        """Start to draw."""
        self._board, self._began = board, time.monotonic()
        self._console.print()
        self._live = Live(
            console=self._console, refresh_per_second=_BEATS_PER_SECOND, get_renderable=self.picture
        )
        self._live.start()

    def changed(self, board: Board) -> None:
        """What is new is drawn with the next beat."""

    def end(self, board: Board) -> None:
        """Leave the last picture where it is."""
        self._ended = time.monotonic()
        if self._live is not None:
            self._live.refresh()
            self._live.stop()
            self._live = None

    def picture(self) -> RenderableType:
        """The board as it is now."""
        if self._board is None:
            return Text("")
        elapsed = (self._ended or time.monotonic()) - self._began
        return picture(self._board, elapsed)


def picture(board: Board, elapsed: float) -> RenderableType:
    """The board, `elapsed` seconds into the upgrade."""
    return Group(_head(board, elapsed), _Fleet(board, elapsed), _events(board.happenings))


def _head(board: Board, elapsed: float) -> RenderableType:
    upgrade = board.upgrade
    phase = upgrade.phase if upgrade and upgrade.phase else "Pending"
    name = upgrade.name if upgrade else ""
    title = Text.assemble(("NodeOpUpgrade ", "bold"), name, "  ", (phase, _COLOURS.get(phase, "")))
    total = len(board.order)
    done = sum(board.progress(one).step == "Done" for one in board.order)
    colour = "red" if phase == "Failed" else "green"
    bar = ProgressBar(total=total, completed=done, width=40, complete_style=colour, finished_style=colour)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(bar, Text(f"{done} of {total} nodes"), Text(f"{elapsed:.0f} s", style="dim"))
    return Group(title, grid)


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The nodes as a table; on a narrow terminal the messages need the room of the roles."""

    board: Board
    elapsed: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with_role = options.max_width >= WITH_ROLE
        table = Table(expand=True, box=SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
        for column in ("Node", *(["Role"] * with_role), "State", "Runs", "Upgrade"):
            table.add_column(column, no_wrap=True)
        table.add_column("Message", no_wrap=True, overflow="ellipsis", ratio=1)
        for name in self.board.order:
            machine, progress = self.board.machines.get(name), self.board.progress(name)
            role = "control-plane" if machine and machine.control_plane else "worker"
            state, runs = (_state(machine), _release(machine)) if machine else (Text("gone", "red"), Text(""))
            cells: list[str | Text] = [
                name,
                *([role] * with_role),
                state,
                runs,
                _standing(progress, self.elapsed),
            ]
            table.add_row(*cells, progress.message)
        yield table


def _state(machine: Machine) -> Text:
    text = Text("Ready", "green") if machine.ready else Text("NotReady", "red")
    return text.append(", cordoned", "yellow") if machine.cordoned else text


def _release(machine: Machine) -> Text:
    version = machine.runs.partition("-")[0]  # the summary shows the whole of it
    return Text(version, "green" if machine.runs == roster.target().triple else "")


def _standing(progress: Progress, elapsed: float) -> Text:
    if progress.in_flight:
        beat = _BEAT[int(elapsed * _BEATS_PER_SECOND) % len(_BEAT)]
        return Text(f"{beat} {progress.step}", _COLOURS["Running"])
    word = progress.outcome or progress.phase
    sign = {"Completed": "✔", "Skipped": "✔", "Failed": "✘"}.get(word, "·")
    return Text(f"{sign} {word}", _COLOURS[progress.phase])


def _events(happenings: list[Happening]) -> RenderableType:
    shown = happenings[-EVENTS_SHOWN:]
    lines = [
        Text.assemble((f"{one.reason:<16} ", "red" if one.warning else "cyan"), f"{one.node:<10} ", one.text)
        for one in shown
    ]
    lines += [Text("")] * (EVENTS_SHOWN - len(shown))
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return Panel(text, title="Events", title_align="left", border_style="dim")
