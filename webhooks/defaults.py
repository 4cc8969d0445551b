"""Filling in what the user left out, as a JSON patch (RFC 6902) that adds and never changes.

The defaults are those of the CRD's own schema, read from it, so that an object looks the same whether the API
server or the webhook filled it in. Two are added that no schema can know: `spec.image` is the operator's setting,
and a check's image is the operation's. Filling in twice fills in nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from kairos_operator.api.crd import object_schema
from kairos_operator.api.resources import NODE_OPS, Resource
from kairos_operator.api.schema import Schema
from webhooks.oneoff import has_started

Operation = dict[str, Any]


def patch_for(
    resource: Resource, obj: Mapping[str, Any], image: str, old: Mapping[str, Any] | None = None
) -> list[Operation]:
    """The operations that fill in what `obj` leaves out.

    `image` is what a NodeOp without one runs. With `old`, the object is an update of it; an update that leaves
    out the image of an operation that has started means the one that it started with.
    """
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return []
    found = list(_missing(_spec_fields(resource), spec, "/spec"))
    if resource == NODE_OPS and old is not None and has_started(old):
        found += _images_as_before(spec, old.get("spec") or {})
    elif resource == NODE_OPS:
        found += _images(spec, image)
    return found


def defaulted(resource: Resource, obj: Mapping[str, Any], image: str) -> dict[str, Any]:
    """`obj` with everything filled in."""
    return patched(obj, patch_for(resource, obj, image))


def patched(obj: Mapping[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """`obj` after operations of `patch_for`, which add to objects only; what is unchanged is shared with it."""
    copies: dict[tuple[str, ...], dict[str, Any]] = {(): dict(obj)}
    for operation in operations:
        path = tuple(operation["path"].split("/")[1:])
        for depth in range(1, len(path)):
            if path[:depth] not in copies:
                parent, step = copies[path[: depth - 1]], path[depth - 1]
                copies[path[:depth]] = parent[step] = dict(parent[step])
        copies[path[:-1]][path[-1]] = operation["value"]
    return copies[()]


class _Field(NamedTuple):
    """A field that has a default, or that has fields with defaults, or both."""

    name: str
    default: Any
    fields: tuple[_Field, ...]


@cache
def _spec_fields(resource: Resource) -> tuple[_Field, ...]:
    return _fields(object_schema(resource)["properties"]["spec"])


def _fields(schema: Schema) -> tuple[_Field, ...]:
    found = []
    for name, child in schema.get("properties", {}).items():
        inner, default = _fields(child), child.get("default")
        if isinstance(default, dict):
            default = {field.name: field.default for field in inner if field.default is not None} | default
        if inner or default is not None:
            found.append(_Field(name, default, inner))
    return tuple(found)


def _missing(fields: tuple[_Field, ...], value: Mapping[str, Any], at: str) -> Iterator[Operation]:
    """One operation for each field with a default that `value` leaves out; null counts as left out."""
    for name, default, inner in fields:
        there = value.get(name)
        if there is None:
            if default is not None:
                yield _add(f"{at}/{name}", dict(default) if isinstance(default, dict) else default)
        elif inner and isinstance(there, dict):
            yield from _missing(inner, there, f"{at}/{name}")


def _images(spec: Mapping[str, Any], image: str) -> Iterator[Operation]:
    if spec.get("image") is None:
        yield _add("/spec/image", image)
    else:
        image = spec["image"]
    for name, check in _checks(spec):
        if check.get("image") is None:
            yield _add(f"/spec/{name}/image", image)


def _images_as_before(spec: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Operation]:
    """What was filled in when the operation was created, and nothing that was not."""
    image = before.get("image")
    if image is None:
        return
    if spec.get("image") is None:
        yield _add("/spec/image", image)
    filled_in = {name for name, check in _checks(before) if check.get("image") == image}
    for name, check in _checks(spec):
        if check.get("image") is None and name in filled_in:
            yield _add(f"/spec/{name}/image", image)


def _checks(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in ("preflight", "postflight"):
        if isinstance(spec.get(name), dict):
            yield name, spec[name]


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}
