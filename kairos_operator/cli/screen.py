"""Where text goes: tables and colours on a terminal, aligned plain columns everywhere else, data for `-o`.

Plain output is never cut to a width and has no drawing characters, so that grep and awk get on with it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kairos_operator.cli.exits import Exit, Trouble

STYLES: Mapping[str, str] = {
    "Completed": "green",
    "Skipped": "cyan",
    "Failed": "bold red",
    "Running": "yellow",
    "Preflight": "yellow",
    "Paused": "magenta",
    "Pending": "dim",
}


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """A text without the control characters by which what somebody else wrote could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


class Output(StrEnum):
    """The formats of `-o`."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of text under headings; `wide` names the column that takes the room that is left."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    wide: str = ""

    def plain(self) -> str:
        """Aligned columns, three spaces apart, as kubectl prints them."""
        lines = [[harmless(cell) for cell in line] for line in (self.headings, *self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        return "\n".join(
            "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for heading in self.headings:
            wide = heading == self.wide
            table.add_column(
                heading, ratio=1 if wide else None, no_wrap=not wide, overflow="fold" if wide else "ellipsis"
            )
        for row in self.rows:
            table.add_row(*(Text(harmless(cell), style=STYLES.get(cell.split(" ")[0], "")) for cell in row))
        return table


Part = str | Grid | RenderableType


@dataclass(slots=True)
class Screen:
    """Standard output and standard error of one command."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=False))
    errors: Console = field(
        default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    )

    @property
    def lively(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self.console.is_terminal

    def show(self, *parts: Part) -> None:
        """Print texts and tables, one under the other."""
        for part in parts:
            if self.lively:
                self.console.print(drawn(part))
            elif isinstance(part, Grid):
                print(part.plain())
            else:
                print(harmless(part) if isinstance(part, str) else part)
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """Say something on standard error."""
        self.errors.print(harmless(text))

    def data(self, value: Any, output: Output, names: Iterable[str] = ()) -> None:
        """Print a value for programs; `names` is what `-o name` prints."""
        if output is Output.NAME:
            for name in names:
                print(name)
        elif output is Output.JSON:
            print(json.dumps(value, indent=2))
        else:
            print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")


def drawn(part: Part) -> RenderableType:
    """A part as rich draws it; text is taken as it is, without markup."""
    if isinstance(part, Grid):
        return part.table()
    return Text(harmless(part)) if isinstance(part, str) else part


def stacked(parts: Iterable[Part]) -> Group:
    """Several parts as one picture."""
    return Group(*(drawn(part) for part in parts))


def items(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several objects as the List that kubectl prints."""
    return {"apiVersion": "v1", "kind": "List", "items": [dict(one) for one in objects]}


def parse_output(text: str | None, *allowed: Output) -> Output | None:
    """The value of `-o`. Raises Trouble for one that the command does not have."""
    if text is None:
        return None
    choices = allowed or tuple(Output)
    if text not in choices:
        raise Trouble(f"-o {text} is not known here; choose {', '.join(choices)}", Exit.USAGE)
    return Output(text)
