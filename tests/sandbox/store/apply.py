"""Server-side apply: a manager says which fields it wants, and gets them unless another owns them with another value.

Fields that the manager applied before and no longer names go away, unless another manager owns them too.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.sandbox.store.errors import StatusError, bad_request, modified
from tests.sandbox.store.fields import Fields, Owner, Path, item_element, leaves, parse, shape_of, with_owners
from tests.sandbox.store.jsondata import Object, copy_json, same_json
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.metadata import timestamp
from tests.sandbox.store.shapes import Shape
from tests.sandbox.store.writes import Options

Owners = dict[Owner, tuple[Fields, str]]


def applied(
    kind: Kind, live: Object | None, body: Any, options: Options, subresource: str, now: datetime
) -> Object:
    """The object after the apply of `body`; 409 with the conflicting fields unless forced."""
    body = _checked(kind, body, live)
    shape = shape_of(kind)
    wanted = {
        path: value for path, value in leaves(body, shape).items() if _concerns(kind, path, subresource)
    }
    owner = Owner(options.field_manager, "Apply", kind.api_version, subresource)
    owners = _owners(kind, live, shape, now)
    if live is None:
        return with_owners(body, {owner: (frozenset(wanted), timestamp(now))})
    before = leaves(live, shape)
    clashes = _clashes(wanted, before, owners, owner)
    if clashes and not options.force:
        raise _conflict(kind, clashes)
    for other, paths in clashes.items():
        owners[other] = (owners[other][0] - paths, owners[other][1])
    held = owners.get(owner, (frozenset(), ""))
    merged = _merge(live, body, shape)
    kept = frozenset(wanted)
    for path in sorted(held[0] - kept, key=len):  # an item before its fields
        shared = any(_covers(path, fields) for other, (fields, _) in owners.items() if other != owner)
        if not shared and not _covers(path, kept):
            merged = _removed(merged, path, shape)
    owners[owner] = (kept, held[1] if held[0] == kept and held[1] else timestamp(now))
    return with_owners(merged, owners)


def _checked(kind: Kind, body: Any, live: Object | None) -> Object:
    if not isinstance(body, dict):
        raise bad_request("an apply patch is an object")
    if not body.get("apiVersion") or not body.get("kind"):
        raise bad_request("invalid object type: /, Kind=")
    metadata = body.get("metadata") or {}
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    version = metadata.get("resourceVersion")
    if version and live is not None and version != live["metadata"]["resourceVersion"]:
        raise modified(kind.group, kind.plural, live["metadata"]["name"])
    return {**copy_json(body), "metadata": dict(metadata)}


def _concerns(kind: Kind, path: Path, subresource: str) -> bool:
    """Whether this endpoint can set the field."""
    if not kind.status:
        return True
    return (path[0] == "f:status") is (subresource == "status")


def _owners(kind: Kind, live: Object | None, shape: Shape, now: datetime) -> Owners:
    if live is None:
        return {}
    found = parse(live["metadata"].get("managedFields"))
    if found:
        return found
    first = Owner("before-first-apply", "Update", kind.api_version)
    return {first: (frozenset(leaves(live, shape)), timestamp(now))}


def _clashes(
    wanted: dict[Path, Any], live: dict[Path, Any], owners: Owners, owner: Owner
) -> dict[Owner, Fields]:
    missing = object()
    differs = frozenset(
        path for path, value in wanted.items() if not same_json(value, live.get(path, missing))
    )
    found = {other: fields & differs for other, (fields, _) in owners.items() if other != owner}
    return {other: paths for other, paths in found.items() if paths}


def _covers(path: Path, fields: Fields) -> bool:
    """Whether these fields hold the path or something below it."""
    return any(one[: len(path)] == path for one in fields)


def _conflict(kind: Kind, clashes: dict[Owner, Fields]) -> StatusError:
    pairs = [
        (_said(kind, owner), _shown(path))
        for owner, paths in clashes.items()
        for path in sorted(paths, key=_printed_order)
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, path in pairs
    ]
    if len(pairs) == 1:
        message = f"Apply failed with 1 conflict: conflict with {pairs[0][0]}: {pairs[0][1]}"
    else:
        lines = []
        for owner in sorted({owner for owner, _ in pairs}):
            lines += [f"conflicts with {owner}:", *(f"- {path}" for other, path in pairs if other == owner)]
        message = f"Apply failed with {len(pairs)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, details={"causes": causes})


def _printed_order(path: Path) -> list[tuple[bool, str]]:
    """Members of a level before what lies below it."""
    return [(index < len(path) - 1, part) for index, part in enumerate(path)]


def _said(kind: Kind, owner: Owner) -> str:
    if owner.operation == "Apply":
        return f'"{owner.manager}"'
    through = f' with subresource "{owner.subresource}"' if owner.subresource else ""
    return f'"{owner.manager}"{through} using {owner.api_version or kind.api_version}'


def _shown(path: Path) -> str:
    """A path as the API server prints it: .spec.containers[name="x"].image"""
    text = ""
    for part in path:
        form, rest = part[0], part[2:]
        if form == "f":
            text += f".{rest}"
        elif form == "k":
            pairs = json.loads(rest).items()
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]"
        else:
            text += f"[={rest}]"
    return text


def _merge(live: Any, wanted: Any, shape: Shape) -> Any:
    form = shape.form(wanted)
    if form == "map" and isinstance(live, dict):
        merged = dict(live)
        for key, item in wanted.items():
            merged[key] = _merge(live.get(key), item, shape.child(key))
        return merged
    if form in ("keyed", "set") and isinstance(live, list):
        keys = shape.keys() if form == "keyed" else ()
        found = {item_element(one, keys): one for one in live}
        for one in wanted:
            mark = item_element(one, keys)
            found[mark] = _merge(found.get(mark), one, shape.item()) if form == "keyed" else one
        return list(found.values())
    return wanted


def _removed(value: Any, path: Path, shape: Shape) -> Any:
    """The value without what lies at the path; containers that this empties go as well."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        key = head[2:]
        if not head.startswith("f:") or key not in value:
            return value
        left = {name: item for name, item in value.items() if name != key}
        inner = _removed(value[key], rest, shape.child(key)) if rest else None
        return (
            {name: inner if name == key else item for name, item in value.items()}
            if inner not in (None, {}, [])
            else left
        )
    if isinstance(value, list):
        keys = shape.keys()
        found = []
        for one in value:
            if item_element(one, keys) != head:
                found.append(one)
            elif rest:
                found.append(_removed(one, rest, shape.item()))
        return found
    return value
