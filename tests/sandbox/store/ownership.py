"""Who owns what after a create or an update: what a manager changed is its own, and nobody else's.

Objects share their untouched branches, so only what differs is looked at; an entry whose fields stay is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.sandbox.store.fields import (
    Fields,
    Owner,
    Path,
    element,
    entry_of,
    fields_of,
    is_owned,
    item_element,
    owner_of,
    shape_of,
    walk,
    with_entries,
)
from tests.sandbox.store.jsondata import Object, same_json
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.metadata import timestamp
from tests.sandbox.store.shapes import Shape


def owned(
    kind: Kind, new: Object, old: Object | None, manager: str, subresource: str, now: datetime
) -> Object:
    """The object with its managedFields after `manager` wrote it."""
    difference = _Difference()
    difference.compare({} if old is None else old, new, shape_of(kind), ())
    changed, removed = difference.result()
    entries: list[Object] = (old or {"metadata": {}})["metadata"].get("managedFields") or []
    if not changed and not removed:
        return with_entries(new, entries)
    writer, when = Owner(manager, "Update", kind.api_version, subresource), timestamp(now)
    kept, written = [], False
    for entry in entries:
        owner = owner_of(entry)
        if owner == writer:
            written = True
            kept.append(_with(entry, writer, (fields_of(entry) | changed) - removed, when))
        else:
            kept.append(_without(entry, owner, changed | removed))
    if not written and changed:
        kept.append(entry_of(writer, changed, when))
    return with_entries(new, [one for one in kept if one["fieldsV1"]])


def _with(entry: Object, owner: Owner, fields: Fields, when: str) -> Object:
    if fields == fields_of(entry):
        return entry if entry["time"] == when else {**entry, "time": when}
    return entry_of(owner, fields, when)


def _without(entry: Object, owner: Owner, lost: Fields) -> Object:
    fields = fields_of(entry)
    if fields.isdisjoint(lost):
        return entry
    return entry_of(owner, fields - lost, entry["time"])


_MISSING = object()


class _Difference:
    """The fields that one object has otherwise than another, and those that it lacks."""

    def __init__(self) -> None:
        self._changed: set[Path] = set()
        self._removed: set[Path] = set()

    def result(self) -> tuple[Fields, Fields]:
        changed = frozenset(path for path in self._changed if is_owned(path))
        return changed, frozenset(path for path in self._removed if is_owned(path)) - changed

    def compare(self, old: Any, new: Any, shape: Shape, path: Path) -> None:
        """Note how `new` differs from `old`, both lying at `path`."""
        if old is new or path == ("f:metadata", "f:managedFields"):
            return
        form = shape.form(new)
        if old and new and form == shape.form(old):
            if form == "map":
                self._members(old, new, shape, path)
                return
            if form in ("keyed", "set"):
                self._items(old, new, shape, path, keyed=form == "keyed")
                return
        if not same_json(old, new):
            self._removed.update(where for where, _ in walk(old, shape, path))
            self._changed.update(where for where, _ in walk(new, shape, path))

    def _members(self, old: Object, new: Object, shape: Shape, path: Path) -> None:
        for key, item in new.items():
            before = old.get(key, _MISSING)
            if before is _MISSING:
                self._changed.update(
                    where for where, _ in walk(item, shape.child(key), (*path, element(key)))
                )
            elif before is not item:
                self.compare(before, item, shape.child(key), (*path, element(key)))
        for key in old.keys() - new.keys():
            self._removed.update(
                where for where, _ in walk(old[key], shape.child(key), (*path, element(key)))
            )

    def _items(self, old: list[Any], new: list[Any], shape: Shape, path: Path, *, keyed: bool) -> None:
        keys = shape.keys() if keyed else ()
        before = {item_element(one, keys): one for one in old}
        after = {item_element(one, keys): one for one in new}
        for part in after.keys() - before.keys():
            self._changed.add((*path, part))
            if keyed:
                self._changed.update(where for where, _ in walk(after[part], shape.item(), (*path, part)))
        for part in before.keys() - after.keys():
            self._removed.add((*path, part))
            if keyed:
                self._removed.update(where for where, _ in walk(before[part], shape.item(), (*path, part)))
        if keyed:
            for part in before.keys() & after.keys():
                self.compare(before[part], after[part], shape.item(), (*path, part))
