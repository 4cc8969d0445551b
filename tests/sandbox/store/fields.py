"""Which manager owns which field: metadata.managedFields (sigs.k8s.io/structured-merge-diff).

A field is a path of elements in the FieldsV1 notation (`f:spec`, `k:{"name":"x"}`, `v:"x"`); an owner has a set of
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.sandbox.store.jsondata import Object, same_json
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.metadata import timestamp
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
    return Shape("", dict(kind.schema) if kind.schema is not None else None)


def element(key: str) -> str:
    return f"f:{key}"


def item_element(item: Any, keys: tuple[str, ...]) -> str:
    """The path element of a list item."""
    if keys:
        return "k:" + json.dumps(key_of(item, keys), separators=(",", ":"), sort_keys=True)
    return "v:" + json.dumps(item, separators=(",", ":"))


def leaves(obj: Object, shape: Shape) -> dict[Path, Any]:
    """Every field of an object with its value, but those that nobody owns."""
    found = {path: value for path, value in _walk(obj, shape, ()) if path and path not in _UNOWNED}
    return {path: value for path, value in found.items() if path[:2] != ("f:metadata", "f:managedFields")}


def _walk(value: Any, shape: Shape, path: Path) -> Iterator[tuple[Path, Any]]:
    form = shape.form(value)
    if form == "map" and value:
        for key, item in value.items():
            yield from _walk(item, shape.child(key), (*path, element(key)))
    elif form == "keyed" and value:
        keys = shape.keys()
        for item in value:
            where = (*path, item_element(item, keys))
            yield where, _ITEM
            yield from _walk(item, shape.item(), where)
    elif form == "set" and value:
        for item in value:
            yield (*path, item_element(item, ())), item
    else:
        yield path, value


_ITEM = "an item of a keyed list, apart from its fields"


def parse(entries: list[Object] | None) -> dict[Owner, tuple[Fields, str]]:
    """The owners of an object: their fields, and when they last wrote."""
    found = {}
    for one in entries or []:
        owner = Owner(
            one.get("manager", ""),
            one.get("operation", ""),
            one.get("apiVersion", ""),
            one.get("subresource", ""),
        )
        found[owner] = (frozenset(_members(one.get("fieldsV1") or {}, ())), one.get("time", ""))
    return found


def _members(trie: Object, path: Path) -> Iterator[Path]:
    for key, below in trie.items():
        if key == ".":
            yield path
        elif below:
            yield from _members(below, (*path, key))
        else:
            yield (*path, key)


def render(owners: dict[Owner, tuple[Fields, str]]) -> list[Object]:
    """metadata.managedFields for these owners; those that own nothing are left out."""
    entries = []
    for owner, (fields, when) in owners.items():
        if fields:
            entry = {
                "manager": owner.manager,
                "operation": owner.operation,
                "apiVersion": owner.api_version,
                "time": when,
                "fieldsType": "FieldsV1",
                "fieldsV1": _trie(fields),
            }
            entries.append({**entry, "subresource": owner.subresource} if owner.subresource else entry)
    return entries


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
    """The object carrying these owners."""
    metadata = {key: item for key, item in obj["metadata"].items() if key != "managedFields"}
    entries = render(owners)
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def owned(
    kind: Kind, new: Object, old: Object | None, manager: str, subresource: str, now: datetime
) -> Object:
    """The object after a create or update by `manager`: what it changed is its own, and nobody else's."""
    shape = shape_of(kind)
    before = leaves(old, shape) if old else {}
    after = leaves(new, shape)
    missing = object()
    changed = frozenset(
        path for path, value in after.items() if not same_json(value, before.get(path, missing))
    )
    removed = frozenset(before.keys() - after.keys())
    entries = (old or {"metadata": {}})["metadata"].get("managedFields")
    if not changed and not removed:
        return with_owners(new, parse(entries))
    owner = Owner(manager, "Update", kind.api_version, subresource)
    owners = {}
    for other, (fields, when) in parse(entries).items():
        owners[other] = (fields - removed if other == owner else fields - changed - removed, when)
    owners[owner] = (owners.get(owner, (frozenset(), ""))[0] | changed, timestamp(now))
    return with_owners(new, owners)
