"""Who did what, when: what was seen from outside during a run, one line each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: seconds since the recording began, on or to whom, and what."""

    at: float
    who: str
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.at:8.1f} s  {self.who:<44} {self.what:<16} {self.detail}".rstrip()


class Recording:
    """Lines in the order in which they were seen. Notes may come from any thread."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._lines: list[Line] = []

    def note(self, who: str, what: str, detail: str = "") -> None:
        """Adds a line."""
        with self._lock:
            self._lines.append(Line(time.monotonic() - self._began, who, what, detail))

    def lines(self, what: str = "") -> list[Line]:
        """All lines so far, or those of one kind of event."""
        with self._lock:
            return [line for line in self._lines if not what or line.what == what]

    def write(self, path: Path, title: str, summary: Iterable[str] = ()) -> None:
        """Writes the recording as text, below what is to be said of it as a whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = [title, "", *summary]
        path.write_text("\n".join([*head, *([""] if summary else []), *map(str, self.lines())]) + "\n")
