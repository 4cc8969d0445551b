"""Which manager owns which field: metadata.managedFields (sigs.k8s.io/structured-merge-diff).

A field is a path of elements in the FieldsV1 notation (`f:spec`, `k:{"name":"x"}`, `v:"x"`); an owner has a set of
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.sandbox.store.jsondata import Object
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.shapes import Shape, key_of

Path = tuple[str, ...]
Fields = frozenset[Path]

_UNOWNED: frozenset[Path] = frozenset(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{key}")
        for key in (
            *(
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "generation",
                "managedFields",
                "resourceVersion",
            ),
            *("deletionTimestamp", "deletionGracePeriodSeconds"),
        )
    ]
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who wrote, how, and through which endpoint."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""


def shape_of(kind: Kind) -> Shape:
    """The shape of a kind's objects."""
    return Shape("", kind.schema)


def element(key: str) -> str:
    return f"f:{key}"


def item_element(item: Any, keys: tuple[str, ...]) -> str:
    """The path element of a list item."""
    if keys:
        return "k:" + json.dumps(key_of(item, keys), separators=(",", ":"), sort_keys=True)
    return "v:" + json.dumps(item, separators=(",", ":"))


def leaves(obj: Object, shape: Shape) -> dict[Path, Any]:
    """Every field of an object with its value, but those that nobody owns."""
    return {path: value for path, value in walk(obj, shape, ()) if is_owned(path)}


def is_owned(path: Path) -> bool:
    """Whether anybody can own the field at a path."""
    return bool(path) and path not in _UNOWNED and path[:2] != ("f:metadata", "f:managedFields")


def walk(value: Any, shape: Shape, path: Path) -> Iterator[tuple[Path, Any]]:
    """The fields below a value that lies at `path`."""
    form = shape.form(value)
    if form == "map" and value:
        for key, item in value.items():
            yield from walk(item, shape.child(key), (*path, element(key)))
    elif form == "keyed" and value:
        keys = shape.keys()
        for item in value:
            where = (*path, item_element(item, keys))
            yield where, _ITEM
            yield from walk(item, shape.item(), where)
    elif form == "set" and value:
        for item in value:
            yield (*path, item_element(item, ())), item
    else:
        yield path, value


_ITEM = "an item of a keyed list, apart from its fields"


def owner_of(entry: Object) -> Owner:
    """Who an entry of managedFields is about."""
    keys = ("manager", "operation", "apiVersion", "subresource")
    return Owner(*(entry.get(key, "") for key in keys))


_read: dict[int, tuple[Object, Fields]] = {}  # entries are never changed in place, so each is read once
_READ_LIMIT = 20_000


def fields_of(entry: Object) -> Fields:
    """The fields that an entry of managedFields names."""
    known = _read.get(id(entry))
    if known is not None and known[0] is entry:
        return known[1]
    fields = frozenset(_members(entry.get("fieldsV1") or {}, ()))
    if len(_read) >= _READ_LIMIT:
        _read.clear()
    _read[id(entry)] = (entry, fields)
    return fields


def parse(entries: list[Object] | None) -> dict[Owner, tuple[Fields, str]]:
    """The owners of an object: their fields, and when they last wrote."""
    return {owner_of(one): (fields_of(one), one.get("time", "")) for one in entries or []}


def _members(trie: Object, path: Path) -> Iterator[Path]:
    for key, below in trie.items():
        if key == ".":
            yield path
        elif below:
            yield from _members(below, (*path, key))
        else:
            yield (*path, key)


def entry_of(owner: Owner, fields: Fields, when: str) -> Object:
    """An entry of managedFields."""
    entry = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": owner.api_version,
        "time": when,
        "fieldsType": "FieldsV1",
        "fieldsV1": _trie(fields),
    }
    return {**entry, "subresource": owner.subresource} if owner.subresource else entry


def _trie(fields: Fields) -> Object:
    root: Object = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
    for path in fields:
        node = root
        for part in path:
            node = node[part]
        if node:
            node["."] = {}
    return root


def with_owners(obj: Object, owners: dict[Owner, tuple[Fields, str]]) -> Object:
    """The object carrying these owners; those that own nothing are left out."""
    return with_entries(
        obj, [entry_of(owner, fields, when) for owner, (fields, when) in owners.items() if fields]
    )


def with_entries(obj: Object, entries: list[Object]) -> Object:
    """The object carrying these entries of managedFields."""
    metadata = {key: item for key, item in obj["metadata"].items() if key != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}
