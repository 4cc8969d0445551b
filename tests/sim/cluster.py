"""The API server of the simulation: the in-memory store, who writes to it, and who hears of each change.

Every write is made by a named actor, and is announced to the listeners at once, with the object before and after.
Listeners only look, or put something on the timeline; they never write from within an announcement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kairos_operator.api.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NODE_OP_UPGRADES,
    NODE_OPS,
    NODES,
    PODS,
    Resource,
)
from tests.sandbox.store import StatusError, Store, counting_suffixes, counting_uids
from tests.sim.clockwork import Timeline
from tests.sim.journal import Journal

START = datetime(2026, 1, 1, tzinfo=UTC)
FOLLOWED = (NODES, PODS, JOBS, NODE_OPS, NODE_OP_UPGRADES)
_CRDS = Path(__file__).parents[2] / "crds"
Object = dict[str, Any]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `old` is None for a new object, `new` is None for one that is gone."""

    actor: str
    verb: str
    resource: Resource
    old: Object | None
    new: Object | None

    @property
    def obj(self) -> Object:
        """The object as it is, or was last."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.obj["metadata"]["name"])


class Cluster:
    """The store, the time and the journal of one simulated cluster."""

    def __init__(self, timeline: Timeline, journal: Journal) -> None:
        self.timeline = timeline
        self.journal = journal
        self.store = Store(clock=self.clock, uids=counting_uids(), suffixes=counting_suffixes())
        for definition in _definitions():
            self.store.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        self.listeners: list[Callable[[Change], None]] = []
        self._changed = False
        self._watches = [(resource, self.store.watch(resource, resource_version="")) for resource in FOLLOWED]
        for _, watch in self._watches:
            watch.on_event = self._mark

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.timeline.now

    def clock(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self.timeline.now)

    def write(self, actor: str, what: Callable[[Store], R], verb: str = "") -> R:
        """Do one write (or none) as an actor, and announce what changed; raises StatusError."""
        try:
            return what(self.store)
        finally:
            if self._changed:
                self._announce(actor, verb)

    def attempt(self, actor: str, what: Callable[[Store], R]) -> R | None:
        """As `write`, for those who do not mind a refusal."""
        try:
            return self.write(actor, what)
        except StatusError:
            return None

    def find(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """An object as it is now, or None."""
        try:
            return self.store.get(resource, name, namespace if resource.namespaced else None)
        except StatusError:
            return None

    def all(self, resource: Resource) -> list[Object]:
        """All objects of a resource, by namespace and name."""
        return self.store.list(resource).items

    def expire_watches(self) -> None:
        """Every watch from before now ends with 410, as after a restart of the API server."""
        self.store.forget_history()
        for _, watch in self._watches:
            watch.bookmark()  # ours have seen everything, and go on

    def _mark(self) -> None:
        self._changed = True

    def _announce(self, actor: str, verb: str) -> None:
        self._changed = False
        for resource, watch in self._watches:
            for event in watch.poll():
                old = event.change.old if event.change is not None else None
                new = None if event.type == "DELETED" else event.object
                change = Change(actor, verb, resource, old if new is not None else old or event.object, new)
                for listener in self.listeners:
                    listener(change)


@lru_cache(maxsize=1)
def _definitions() -> tuple[Object, ...]:
    return tuple(yaml.safe_load(path.read_text()) for path in sorted(_CRDS.glob("operator.kairos.io_*.yaml")))
