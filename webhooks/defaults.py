"""Filling in what the user left out, as a JSON patch (RFC 6902) that adds and never changes.

The defaults are those of the CRD's own schema, read from it, so that an object looks the same whether the API
server or the webhook filled it in. Two are added that no schema can know: `spec.image` is the operator's setting,
and a check's image is the operation's. Filling in twice fills in nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from kairos_operator.api.crd import object_schema
from kairos_operator.api.resources import NODE_OPS, Resource
from kairos_operator.api.schema import Schema
from webhooks.oneoff import has_started

CHECKS = ("preflight", "postflight")
Operation = Mapping[str, Any]


class Filled(NamedTuple):
    """An object with everything filled in, and the operations that fill it in."""

    obj: Mapping[str, Any]
    """What is unchanged is shared with the object that was given."""
    operations: Sequence[Operation]


def filled(
    resource: Resource, obj: Mapping[str, Any], image: str, old: Mapping[str, Any] | None = None
) -> Filled:
    """`obj` with what it leaves out.

    `image` is what a NodeOp without one runs. With `old`, the object is an update of it; an update that leaves
    out the image of an operation that has started means the one that it started with.
    """
    given, operations = obj.get("spec"), list[Operation]()
    if not isinstance(given, dict):
        return Filled(obj, operations)
    spec = _filled(_spec_fields(resource), given, operations)
    if resource == NODE_OPS and old is not None and has_started(old):
        before = old.get("spec")
        _fill_images_as_before(spec, before if isinstance(before, dict) else {}, operations)
    elif resource == NODE_OPS:
        _fill_images(spec, image, operations)
    return Filled({**obj, "spec": spec}, operations)


def patch_for(
    resource: Resource, obj: Mapping[str, Any], image: str, old: Mapping[str, Any] | None = None
) -> Sequence[Operation]:
    """The operations that fill in what `obj` leaves out; see `filled`."""
    return filled(resource, obj, image, old).operations


def defaulted(resource: Resource, obj: Mapping[str, Any], image: str) -> dict[str, Any]:
    """`obj` with everything filled in."""
    return dict(filled(resource, obj, image).obj)


class _Field(NamedTuple):
    """A field that has a default, or that has fields with defaults, or both."""

    name: str
    default: Any
    fields: tuple[_Field, ...]
    operation: Operation
    """What fills it in; made once, since most objects leave most fields out."""


@cache
def _spec_fields(resource: Resource) -> tuple[_Field, ...]:
    return _fields(object_schema(resource)["properties"]["spec"], "/spec")


def _fields(schema: Schema, at: str) -> tuple[_Field, ...]:
    found = []
    for name, child in schema.get("properties", {}).items():
        path = f"{at}/{name}"
        inner, default = _fields(child, path), child.get("default")
        if isinstance(default, dict):
            default = {field.name: field.default for field in inner if field.default is not None} | default
        if inner or default is not None:
            found.append(_Field(name, default, inner, _add(path, default)))
    return tuple(found)


def _filled(
    fields: tuple[_Field, ...], value: Mapping[str, Any], operations: list[Operation]
) -> dict[str, Any]:
    """`value` with the fields that have a default and that it leaves out; null counts as left out."""
    new = dict(value)
    for name, default, inner, operation in fields:
        there = value.get(name)
        if there is None:
            if default is not None:
                new[name] = dict(default) if isinstance(default, dict) else default
                operations.append(operation)
        elif inner and isinstance(there, dict):
            new[name] = _filled(inner, there, operations)
    return new


def _fill_images(spec: dict[str, Any], image: str, operations: list[Operation]) -> None:
    if spec.get("image") is None:
        spec["image"] = image
        operations.append(_add("/spec/image", image))
    _fill_checks(spec, spec["image"], CHECKS, operations)


def _fill_images_as_before(
    spec: dict[str, Any], before: Mapping[str, Any], operations: list[Operation]
) -> None:
    """What was filled in when the operation was created, and nothing that was not."""
    image = before.get("image")
    if image is None:
        return
    if spec.get("image") is None:
        spec["image"] = image
        operations.append(_add("/spec/image", image))
    checks = {name: before.get(name) for name in CHECKS}
    had_it = [
        name for name, check in checks.items() if isinstance(check, dict) and check.get("image") == image
    ]
    _fill_checks(spec, image, had_it, operations)


def _fill_checks(spec: dict[str, Any], image: Any, names: Sequence[str], operations: list[Operation]) -> None:
    for name in names:
        check = spec.get(name)
        if isinstance(check, dict) and check.get("image") is None:
            spec[name] = {**check, "image": image}
            operations.append(_add(f"/spec/{name}/image", image))


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}
