"""Filling in what the user left out, as a JSON patch (RFC 6902) that adds and never changes.

The defaults are those of the CRD's own schema, read from it, so that an object looks the same whether the API
server or the webhook filled it in. Two are added that no schema can know: `spec.image` is the operator's setting,
and a check's image is the operation's. Filling in twice fills in nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

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
    found = list(_missing(_spec_schema(resource), spec, "/spec"))
    if resource == NODE_OPS and old is not None and has_started(old):
        found += _images_as_before(spec, old.get("spec") or {})
    elif resource == NODE_OPS:
        found += _images(spec, image)
    return found


def defaulted(resource: Resource, obj: Mapping[str, Any], image: str) -> dict[str, Any]:
    """`obj` with everything filled in."""
    return patched(obj, patch_for(resource, obj, image))


def patched(obj: Mapping[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """`obj` after operations of `patch_for`, which add to objects only; what is unchanged is shared with it."""
    copy = dict(obj)
    for operation in operations:
        *parents, last = operation["path"].lstrip("/").split("/")
        place = copy
        for step in parents:
            place[step] = dict(place[step])
            place = place[step]
        place[last] = operation["value"]
    return copy


@cache
def _spec_schema(resource: Resource) -> Schema:
    spec: Schema = object_schema(resource)["properties"]["spec"]
    return spec


def _missing(schema: Schema, value: Mapping[str, Any], at: str) -> Iterator[Operation]:
    """One operation for each field with a default that `value` leaves out; null counts as left out."""
    for name, field in schema.get("properties", {}).items():
        there = value.get(name)
        if there is None and "default" in field:
            yield _add(f"{at}/{name}", _filled(field, field["default"]))
        elif isinstance(there, dict):
            yield from _missing(field, there, f"{at}/{name}")


def _filled(schema: Schema, default: Any) -> Any:
    """A default with the defaults of its own fields."""
    if not isinstance(default, dict):
        return default
    inner = {
        name: _filled(field, field["default"])
        for name, field in schema.get("properties", {}).items()
        if "default" in field
    }
    return {**inner, **default}


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
