"""What really happened, written by the world as it happens: the ground truth that the judge and the stories read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: when (seconds), who did it, to which node or object, what, and why or with what end."""

    time: float
    actor: str
    place: str
    what: str
    why: str = ""

    def __str__(self) -> str:
        reason = f"  ({self.why})" if self.why else ""
        return f"{self.time:10.3f}  {self.actor:<14} {self.place:<26} {self.what}{reason}"


@dataclass(slots=True)
class Journal:
    """Entries in order; `detailed` also keeps what only a person who reads a failing seed wants to see."""

    detailed: bool = False
    entries: list[Entry] = field(default_factory=list)

    def note(self, time: float, actor: str, place: str, what: str, why: str = "") -> None:
        """Something that the story tells."""
        self.entries.append(Entry(time, actor, place, what, why))

    def detail(self, time: float, actor: str, place: str, what: str, why: str = "") -> None:
        """Something that only the detailed story tells."""
        if self.detailed:
            self.entries.append(Entry(time, actor, place, what, why))

    def text(self) -> str:
        """The story, one line for each entry."""
        return "\n".join(str(entry) for entry in self.entries)
