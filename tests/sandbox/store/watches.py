"""Watches: a cursor over a shelf's changes, seen through a selector.

An object that starts to match arrives as ADDED, one that stops matching as DELETED with its last matching state,
as the API server's watch cache does. `poll` never blocks; `on_event` says that polling may be worthwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.sandbox.store.errors import expired
from tests.sandbox.store.jsondata import Object
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.selectors import Match
from tests.sandbox.store.shelf import Change, Shelf

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
Convert = Callable[[Object], Object]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. `change` is what it was made from, None for initial objects and bookmarks."""

    type: EventType
    object: Object
    change: Change | None = None


class Watch:
    """A subscription to one resource; close it when done."""

    def __init__(
        self,
        shelf: Shelf,
        kind: Kind,
        *,
        after: int,
        namespace: str | None,
        match: Match,
        shown: Convert,
        version: Callable[[], int],
    ) -> None:
        self.kind = kind
        self.on_event: Callable[[], None] | None = None
        self._shelf = shelf
        self._after = after
        self._namespace = namespace
        self._match = match
        self._shown = shown
        self._version = version
        self._queued: list[WatchEvent] = []
        self._expired = False
        shelf.since(after)  # refuse at once what the window no longer holds
        shelf.listeners[self] = self._wake

    def _wake(self) -> None:
        if self.on_event is not None:
            self.on_event()

    def queue(self, events: list[WatchEvent]) -> None:
        """Put events before everything that the shelf has to say (the initial list)."""
        self._queued.extend(events)

    def poll(self) -> list[WatchEvent]:
        """Everything new since the last poll, in order; raises 410 Expired when the window was missed."""
        if self._expired:
            raise expired("The resourceVersion for the provided watch is too old.")
        found, self._queued = self._queued, []
        changes = self._shelf.since(self._after)
        for change in changes:
            if self._namespace is None or change.key[0] == self._namespace:
                event = self._event(change)
                if event is not None:
                    found.append(event)
        if changes:
            self._after = changes[-1].version
        return found

    def _event(self, change: Change) -> WatchEvent | None:
        was = change.old is not None and self._match(change.old)
        now = change.type != "DELETED" and self._match(change.new)
        if now:
            return WatchEvent("MODIFIED" if was else "ADDED", self._shown(change.new), change)
        if not was or change.old is None:
            return None
        if change.type == "DELETED":
            return WatchEvent("DELETED", self._shown(change.new), change)
        version = change.new["metadata"]["resourceVersion"]
        last = {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": version}}
        return WatchEvent("DELETED", self._shown(last), None)

    def bookmark(self, *, initial_end: bool = False) -> WatchEvent:
        """A bookmark at the version up to which this watch has seen everything; poll first."""
        self._after = max(self._after, self._version())
        metadata: Object = {"resourceVersion": str(self._after), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        return WatchEvent("BOOKMARK", body)

    def expire(self) -> None:
        """Make the next poll answer 410 Expired."""
        self._expired = True
        self._wake()

    def close(self) -> None:
        self._shelf.listeners.pop(self, None)
