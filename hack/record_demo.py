"""Draws docs/images/demo.svg from a real run of the demo: `python hack/record_demo.py`.

The picture is the demo's own screen at a telling moment: half of the fleet is done, one node is on its way back from
its reboot. Nothing in it is made up; run it again when the demo looks different.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.sandbox.demo.__main__ import play  # noqa: E402
from tests.sandbox.demo.board import Board  # noqa: E402
from tests.sandbox.demo.options import Options  # noqa: E402
from tests.sandbox.demo.screen import picture  # noqa: E402

WIDTH = 120
MOMENT = "worker-4"
"""Whose reboot the picture shows."""


class Camera:
    """A view that keeps the last picture of the moment, and tells on stderr how far the run is."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._taken: Console | None = None

    def stage(self, text: str) -> None:
        """Something is done before or after the upgrade."""
        print(text, file=sys.stderr)

    def begin(self, board: Board) -> None:
        """The upgrade exists."""
        self._began = time.monotonic()

    def changed(self, board: Board) -> None:
        """Take a picture, if this is the moment."""
        machine = board.machines.get(MOMENT)
        if board.progress(MOMENT).step == "Reboot" and machine is not None and not machine.ready:
            self._taken = _photograph(board, time.monotonic() - self._began)

    def end(self, board: Board) -> None:
        """Nothing more is to be seen."""

    def save(self, path: Path) -> None:
        """Write the picture. Raises RuntimeError where the moment never came."""
        if self._taken is None:
            raise RuntimeError(f"{MOMENT} was never seen on its way back from its reboot")
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = self._taken.export_svg(
            title="./task demo", theme=MONOKAI, code_format=with_local_fonts(), unique_id="demo"
        )
        path.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")


def with_local_fonts() -> str:
    """rich's SVG without the fonts that it would load from another site."""
    return re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
    )


def _photograph(board: Board, elapsed: float) -> Console:
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text("$ ./task demo", "bold"))
    console.print()
    console.print(picture(board, elapsed))
    return console


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "demo.svg")
    path = parser.parse_args().output
    camera = Camera()
    code = play(Options(), camera, Console(stderr=True))
    if code == 0:
        camera.save(path)
    return code


if __name__ == "__main__":
    sys.exit(main())
