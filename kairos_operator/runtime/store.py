"""What the operator has last seen of one resource, as parsed, slim values.

Rules:
- an object is replaced by a newer one only: resourceVersions are compared as integers (they are positive
  decimals that grow, and comparable within one resource: Kubernetes API concepts, "Resource versions");
- what we wrote ourselves goes in at once (`observed`), so that nothing is decided on a state from before our
  own write; the watch event of an older version, which comes later, changes nothing;
- a deleted object leaves a tombstone with its last version, so that a late event cannot bring it back;
- subscribers hear of a change only where the parsed value changed;
- "not in the store" is never a fact about the cluster, only about what has been seen.
"""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, str]

log = logging.getLogger(__name__)

TOMBSTONES = 2_000  # the oldest go first; a late event is seconds late, not two thousand deletions


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    uid: str
    version: int


class Store(Generic[T]):
    """Values of one resource by (namespace, name); namespace "" where the resource has none.

    `parse` turns an object into its value. It may raise ValueError, KeyError or TypeError for an object that
    it cannot read: then what was known before stays, and the log names the object.
    """

    def __init__(self, parse: Callable[[Mapping[str, Any]], T]) -> None:
        self._parse = parse
        self._entries: dict[Key, _Entry[T]] = {}
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._indexes: dict[str, _Index[T]] = {}
        self._subscribers: list[Callable[[T | None, T | None], None]] = []
        self._version = 0
        self.heard = float("-inf")  # when the list or watch behind it last said anything (monotonic seconds)
        self._order: list[Key] | None = None  # the keys in their order, until one comes or goes

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def resource_version(self) -> str:
        """How far the list or watch behind the store has come; "" before the first list."""
        return str(self._version) if self._version else ""

    def get(self, name: str, namespace: str = "") -> T | None:
        """The value of one object, or None if it has not been seen."""
        entry = self._entries.get((namespace, name))
        return entry.value if entry else None

    def values(self) -> list[T]:
        """All values, by namespace and name."""
        if self._order is None:
            self._order = sorted(self._entries)
        return [self._entries[key].value for key in self._order]

    def index(self, name: str, keys_of: Callable[[T], Iterable[str]]) -> None:
        """Keep a second way to find values: under each of the strings that `keys_of` returns for them."""
        index = self._indexes[name] = _Index(keys_of)
        for key, entry in self._entries.items():
            index.put(key, None, entry.value)

    def lookup(self, index: str, value: str) -> list[T]:
        """The values that the index has under this string, by namespace and name."""
        return [self._entries[key].value for key in sorted(self._indexes[index].keys(value))]

    def subscribe(self, callback: Callable[[T | None, T | None], None]) -> None:
        """Have `callback(old, new)` called after each change; None stands for "was not" and "is no more"."""
        self._subscribers.append(callback)

    def observed(self, obj: Mapping[str, Any]) -> None:
        """Take in an object as the API server returned or announced it, unless a newer one is known."""
        key, uid, version = _identify(obj)
        known = self._entries.get(key)
        if version <= (known.version if known else self._tombstones.get(key, 0)):
            return
        try:
            value = self._parse(obj)
        except (ValueError, KeyError, TypeError) as error:
            log.error(
                "cannot read an object, so its last readable state stays in use",
                extra={"kind": obj.get("kind"), "object": "/".join(key), "error": str(error)},
            )
            return
        self._tombstones.pop(key, None)
        self._put(key, known, _Entry(value, uid, version))

    def deleted(self, obj: Mapping[str, Any]) -> None:
        """Take in that the object is gone: `obj` is its last state, as the watch announces it."""
        key, _, version = _identify(obj)
        known = self._entries.get(key)
        if known is None or known.version <= version:
            self._drop(key, version)

    def forget(self, name: str, namespace: str = "", *, uid: str) -> None:
        """We deleted this object: drop it at once. Another object of that name stays."""
        known = self._entries.get((namespace, name))
        if known is not None and known.uid == uid:
            self._drop((namespace, name), known.version)

    def missing(self, name: str, namespace: str = "") -> None:
        """A live read found no such object: drop it if it is known.

        The answer has no version, so it may be older than what has been seen meanwhile. The object therefore
        comes back when it is seen again, even in the very version that was known.
        """
        known = self._entries.get((namespace, name))
        if known is not None:
            self._drop((namespace, name), known.version - 1)

    def replace(self, items: Iterable[Mapping[str, Any]], resource_version: str) -> None:
        """Take in a complete list of the given version; what is not in it is gone.

        An object that we wrote after the list was taken stays. A list that is older than what the watch had
        shown before means that the server's history went back (a restored backup): then the list counts.
        """
        listed = int(resource_version)
        if listed < self._version:
            log.warning("the API server's history went back; starting anew from its list")
            self._tombstones.clear()
            self._entries = {key: _Entry(old.value, old.uid, 0) for key, old in self._entries.items()}
        self.catch_up(items, resource_version)
        self._version = listed

    def catch_up(self, items: Iterable[Mapping[str, Any]], resource_version: str) -> None:
        """Take in a complete list that was read beside the watch: what is not in it, and not newer, is gone."""
        listed, seen = int(resource_version), set()
        for obj in items:
            seen.add(_identify(obj)[0])
            self.observed(obj)
        for key in [key for key, entry in self._entries.items() if key not in seen]:
            if self._entries[key].version <= listed:
                self._drop(key, listed)

    def advance(self, resource_version: str) -> None:
        """The watch has come to this version."""
        self._version = max(self._version, int(resource_version))

    def _put(self, key: Key, old: _Entry[T] | None, new: _Entry[T]) -> None:
        self._entries[key] = new
        if old is None:
            self._order = None
        if old is not None and old.uid == new.uid and old.value == new.value:
            return
        self._tell(key, old.value if old else None, new.value)

    def _drop(self, key: Key, version: int) -> None:
        self._tombstones[key] = max(version, self._tombstones.get(key, 0))
        self._tombstones.move_to_end(key)
        while len(self._tombstones) > TOMBSTONES:
            self._tombstones.popitem(last=False)
        known = self._entries.pop(key, None)
        self._order = None
        if known is not None:
            self._tell(key, known.value, None)

    def _tell(self, key: Key, old: T | None, new: T | None) -> None:
        for index in self._indexes.values():
            index.put(key, old, new)
        for callback in self._subscribers:
            callback(old, new)


class _Index(Generic[T]):
    """Keys of objects under each string that a function returns for their values.

    Under most strings is one key, which then stands for itself: thousands of sets of one would be megabytes.
    """

    def __init__(self, keys_of: Callable[[T], Iterable[str]]) -> None:
        self._keys_of = keys_of
        self._keys: dict[str, Key | set[Key]] = {}

    def keys(self, value: str) -> Iterable[Key]:
        found = self._keys.get(value)
        if isinstance(found, set):
            return found
        return () if found is None else (found,)

    def put(self, key: Key, old: T | None, new: T | None) -> None:
        for value in self._keys_of(old) if old is not None else ():
            self._take(value, key)
        for value in self._keys_of(new) if new is not None else ():
            self._give(value, key)

    def _take(self, value: str, key: Key) -> None:
        found = self._keys.get(value)
        if isinstance(found, set):
            found.discard(key)
        if not found or found == key:
            self._keys.pop(value, None)

    def _give(self, value: str, key: Key) -> None:
        found = self._keys.get(value)
        if isinstance(found, set):
            found.add(key)
        else:
            self._keys[value] = key if found in (None, key) else {found, key}


def _identify(obj: Mapping[str, Any]) -> tuple[Key, str, int]:
    meta = obj["metadata"]
    return (
        (sys.intern(meta.get("namespace") or ""), meta["name"]),
        meta.get("uid", ""),
        int(meta["resourceVersion"]),
    )
