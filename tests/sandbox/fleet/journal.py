"""What happened in the fleet, as an outside observer saw it: the tests' witness.

Rule: a record is written when the thing happens in the simulated world, not when the API server heard of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Event = Literal["pod", "start", "end", "reboot", "boot", "ready", "call"]


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal.

    `event`: a pod reached a phase (pod), a container started or ended (start, end), the node went down, came up
    or became Ready (reboot, boot, ready), or a stub was called by a real script (call).
    """

    time: datetime
    node: str
    event: Event
    namespace: str = ""
    pod: str = ""
    container: str = ""
    image: str = ""
    program: str = ""
    """The operator's program, or nothing where the scenario named the outcome."""
    exit_code: int | None = None
    real: bool = False
    """Whether a program really ran."""
    detail: str = ""


class Journal:
    """The records in order, with a listener for those who watch live."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.listener: Callable[[Record], None] | None = None

    def write(self, record: Record) -> None:
        """Appends a record and tells the listener."""
        self.records.append(record)
        if self.listener is not None:
            self.listener(record)

    def of(self, node: str, *events: Event) -> list[Record]:
        """The records of one node, of some events or of all."""
        return [one for one in self.records if one.node == node and (not events or one.event in events)]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)
