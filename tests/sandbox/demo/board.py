"""What the API has told so far: the nodes, the upgrade and its events, as values, and what changed last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Machine:
    """A Node."""

    name: str
    control_plane: bool
    ready: bool
    cordoned: bool
    runs: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """An upgrade's entry for one node."""

    phase: str = "Pending"
    step: str = "Waiting"
    message: str = ""
    outcome: str = ""
    job: str = ""

    @property
    def in_flight(self) -> bool:
        """Whether the node holds a slot."""
        return self.step not in ("Waiting", "Done")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A NodeOpUpgrade."""

    name: str
    phase: str
    message: str
    nodes: Mapping[str, Progress]
    counts: Mapping[str, int]
    blocked: bool = False
    """Whether a drain is refused an eviction."""

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.phase in ("Completed", "Failed")


@dataclass(frozen=True, slots=True)
class Happening:
    """An Event on the upgrade."""

    reason: str
    node: str
    text: str
    warning: bool


def parse_machine(obj: Mapping[str, Any]) -> Machine:
    """A Node as the board shows it."""
    meta, status = obj["metadata"], obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    ready = [one["status"] for one in status.get("conditions") or () if one["type"] == "Ready"]
    return Machine(
        meta["name"],
        "node-role.kubernetes.io/control-plane" in (meta.get("labels") or {}),
        ready == ["True"],
        bool((obj.get("spec") or {}).get("unschedulable")),
        str(info.get("osImage", "")).removeprefix("Kairos "),
        str(info.get("bootID", "")),
    )


def parse_upgrade(obj: Mapping[str, Any]) -> Upgrade:
    """A NodeOpUpgrade as the board shows it."""
    status = obj.get("status") or {}
    nodes = {
        name: Progress(
            one.get("phase", "Pending"),
            one.get("step", "Waiting"),
            one.get("message", ""),
            one.get("outcome", ""),
            one.get("jobName", ""),
        )
        for name, one in (status.get("nodeStatuses") or {}).items()
    }
    counts = {key: value for key, value in (status.get("summary") or {}).items() if isinstance(value, int)}
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    blocked = conditions.get("DrainBlocked") == "True"
    meta, phase, message = obj["metadata"], status.get("phase", ""), status.get("message", "")
    return Upgrade(meta["name"], phase, message, nodes, counts, blocked)


def parse_happening(obj: Mapping[str, Any]) -> Happening:
    """An Event as the board shows it."""
    node = (obj.get("related") or {}).get("name", "")
    return Happening(obj.get("reason", ""), node, obj.get("note", ""), obj.get("type") == "Warning")


@dataclass(slots=True)
class Board:
    """Everything seen; `before` is the fleet as it was when the upgrade was created."""

    order: list[str]
    image: str = ""
    machines: dict[str, Machine] = field(default_factory=dict)
    before: dict[str, Machine] = field(default_factory=dict)
    upgrade: Upgrade | None = None
    happenings: list[Happening] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    late_starts: list[str] = field(default_factory=list)
    """Nodes that were started when a failure stood in the status already."""
    most_in_flight: int = 0
    early_ends: int = 0
    """How often a phase was final and then another one: never, or the operator has broken a promise."""

    def progress(self, name: str) -> Progress:
        """The upgrade's entry for a node."""
        return self.upgrade.nodes.get(name, Progress()) if self.upgrade else Progress()

    @property
    def upgrade_name(self) -> str:
        """The upgrade's name, once it was seen."""
        return self.upgrade.name if self.upgrade else ""

    @property
    def heard_the_end(self) -> bool:
        """Whether an Event has told how the upgrade ended; it comes a little after the status."""
        return self.upgrade is not None and any(one.reason == self.upgrade.phase for one in self.happenings)

    def learn(self, new: Upgrade) -> None:
        """Take in what the upgrade says now."""
        if self.upgrade is not None and self.upgrade.final and self.upgrade.phase != new.phase:
            self.early_ends += 1
        had_failure = any(self.progress(name).outcome == "Failed" for name in self.order)
        self.upgrade = new
        flying = [name for name in self.order if self.progress(name).in_flight]
        self.most_in_flight = max(self.most_in_flight, len(flying))
        begun = [name for name in self._touched() if name not in self.started]
        self.started.extend(begun)
        self.late_starts.extend(begun if had_failure else [])

    def _touched(self) -> Iterator[str]:
        return (name for name in self.order if self.progress(name).step != "Waiting")


class View(Protocol):
    """Where a run is shown."""

    def stage(self, text: str) -> None:
        """Something is done that is not the operator's doing."""

    def begin(self, board: Board) -> None:
        """The upgrade exists; what follows is about it."""

    def changed(self, board: Board) -> None:
        """Something on the board is new."""

    def end(self, board: Board) -> None:
        """The upgrade is over, or the run is."""
