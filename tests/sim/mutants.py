"""Bugs planted into the core and the runtime, each of which the simulation must find: the judge is judged.

A bug is a replacement in one function's source; the function's code is exchanged in place, so that everybody who holds
the function has the bug. A replacement whose text is no longer there fails loudly.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from tests.sim.planted import PLANTED
from tests.sim.scenario import scenario
from tests.sim.simulation import Simulation

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"
BEGIN, END = "<!-- planted bugs: begin -->\n", "<!-- planted bugs: end -->\n"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: what it is in words, where it is planted, and within how many seeds it must be found."""

    bug: str
    place: str  # module:function or module:Class.method, below kairos_operator
    old: str
    new: str
    within: int = 200

    def function(self) -> FunctionType:
        """The function that has the bug."""
        module, _, path = self.place.partition(":")
        found: Any = importlib.import_module(f"kairos_operator.{module}")
        for name in path.split("."):
            found = getattr(found, name)
        assert isinstance(found, FunctionType)
        return found

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While this is entered, the bug is there."""
        function = self.function()
        source = textwrap.dedent(inspect.getsource(function))
        if self.old not in source:
            raise LookupError(f"{self.place} has no {self.old!r} any more: {self.bug}")
        space = dict(function.__globals__)
        flags = __import__("__future__").annotations.compiler_flag
        exec(compile(source.replace(self.old, self.new, 1), f"<{self.bug}>", "exec", flags), space)
        sound = function.__code__
        function.__code__ = space[function.__name__].__code__
        try:
            yield
        finally:
            function.__code__ = sound


MUTANTS = tuple(Mutant(*planted) for planted in PLANTED)


class Found(NamedTuple):
    """When a bug was found: after how many seeds (0: not at all), by which seed, and what was broken."""

    bug: str
    seeds: int
    broken: str


def hunt(mutant: Mutant, start: int = 0) -> Found:
    """Run seeds until the bug is found, or as many as it may take."""
    with mutant.planted():
        for count in range(1, mutant.within + 1):
            broken = Simulation(scenario(start + count - 1)).run().broken
            if broken:
                return Found(mutant.bug, count, broken.splitlines()[0])
    return Found(mutant.bug, 0, "not found")


def main(jobs: int) -> int:
    """Hunt all bugs, print the table and write it into the document; 1 if one was not found."""
    began, rows, missed = time.monotonic(), dict[str, str](), 0
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(hunt, mutant) for mutant in MUTANTS]):
            found = done.result()
            missed += not found.seeds
            mutant = next(one for one in MUTANTS if one.bug == found.bug)
            cells = (found.bug, f"`{mutant.place}`", str(found.seeds or "NOT FOUND"), _cell(found.broken))
            rows[found.bug] = f"| {' | '.join(cells)} |\n"
            print(rows[found.bug], end="", flush=True)
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} planted bugs found in {time.monotonic() - began:.0f} s")
    _write_table([rows[mutant.bug] for mutant in MUTANTS])
    return 1 if missed else 0


def _cell(text: str) -> str:
    return text.replace("|", "/")[:100]


def _write_table(rows: list[str]) -> None:
    if not DOCUMENT.exists():
        return
    head = "| Planted bug | Place | Seeds needed | What the judge said |\n|---|---|---|---|\n"
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if rest and after is not None:
        DOCUMENT.write_text(before + BEGIN + "\n" + head + "".join(rows) + "\n" + END + after)


if __name__ == "__main__":
    sys.exit(main(1))
