"""Where the objects of one resource lie, with the window of changes that watches read.

A shelf knows no rules: it keeps what it is given, in commit order. Objects on it are never changed in place,
so reads and watch events share them. The window is bounded; a reader that falls out of it gets 410 Expired.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.sandbox.store.errors import expired
from tests.sandbox.store.jsondata import Object

Key = tuple[str, str]  # namespace ("" for cluster scope) and name
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(slots=True)
class Change:
    """One committed write. For a deletion `new` is the last state, carrying the deletion's version."""

    version: int
    type: ChangeType
    key: Key
    new: Object
    old: Object | None
    encoded: dict[str, bytes] = field(default_factory=dict)  # the HTTP server's cache, by representation


class Shelf:
    """The objects of one resource and the last `window` changes to them."""

    def __init__(self, window: int, since: int) -> None:
        self.objects: dict[Key, Object] = {}
        self.listeners: dict[object, Callable[[], None]] = {}
        self._window = window
        self._changes: list[Change] = []
        self._forgotten = since  # changes up to this version are no longer known
        self._order: list[Key] | None = []

    def put(self, version: int, key: Key, new: Object) -> None:
        """Keep an object and tell the listeners."""
        old = self.objects.get(key)
        if old is None:
            self._order = None
        self.objects[key] = new
        self._record(Change(version, "ADDED" if old is None else "MODIFIED", key, new, old))

    def drop(self, version: int, key: Key, last: Object) -> None:
        """Forget an object whose final state is `last`."""
        old = self.objects.pop(key)
        self._order = None
        self._record(Change(version, "DELETED", key, last, old))

    def _record(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) >= 2 * self._window:
            self.forget(len(self._changes) - self._window)
        for wake in list(self.listeners.values()):
            wake()

    def forget(self, count: int) -> None:
        """Drop the oldest `count` changes from the window."""
        if count > 0:
            self._forgotten = self._changes[:count][-1].version
            del self._changes[:count]

    def forget_all(self, version: int) -> None:
        """Drop the whole window, as a restarted API server without watch cache does."""
        self._changes.clear()
        self._forgotten = version

    def since(self, version: int) -> list[Change]:
        """The changes after a version; raises 410 Expired where some of them are forgotten."""
        if version < self._forgotten:
            raise expired(f"too old resource version: {version} ({self._forgotten})")
        if not self._changes or self._changes[-1].version <= version:
            return []
        return self._changes[bisect_right(self._changes, version, key=lambda one: one.version) :]

    def ordered(self) -> list[Key]:
        """All keys in the order of a list answer: by namespace, then name."""
        if self._order is None:
            self._order = sorted(self.objects)
        return self._order
