"""The page docs/reference.md, made from what it speaks of: the fields of both kinds, the marks and the flags.

Nothing here is written by hand but the sentences between the tables, so the page cannot say what the code does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from kairos_operator.api import names
from kairos_operator.api.crd import CATEGORY, MODELS, PURPOSE, SHORT_NAMES, object_schema
from kairos_operator.api.resources import NODE_OPS, Resource
from kairos_operator.api.schema import Schema
from kairos_operator.settings import add_run_flags

HEAD = """\
<!-- Generated from kairos_operator by `task generate`; edit the models instead. -->
# Reference

Every field of both kinds, as `kubectl explain` tells them too, the marks that the operator leaves, and its flags. Group
and version are `operator.kairos.io/v1alpha1`. Fields that the operator does not know are dropped by the API server;
`kubectl` refuses them before that.
"""

MARKS = (
    ("label on nodes", names.LABEL_MANAGED_NODE, "`true` on nodes that run Kairos; the labeler sets it"),
    ("label on Jobs and pods", names.LABEL_NODE_OP, "the NodeOp that the object belongs to"),
    ("label on Jobs and pods", names.LABEL_NODE, "the node that the object works on"),
    ("label on pods", names.LABEL_PREFLIGHT, "`true`: a preflight"),
    ("label on pods", names.LABEL_REBOOT, "`true`: the pod that reboots the node"),
    ("label on pods", names.LABEL_POSTFLIGHT, "`true`: a postflight"),
    ("label on NodeOps", names.LABEL_MANAGED_BY, f"`{names.UPGRADE_CONTROLLER}`: made for an upgrade"),
    ("label on NodeOps", names.LABEL_UPGRADE, "the NodeOpUpgrade that it was made for"),
    ("annotation on nodes", names.ANNOTATION_CLAIMED_BY, "the operation that works on the node now"),
    ("annotation on nodes", names.ANNOTATION_CORDONED_BY, "the operation whose cordon it is"),
    ("annotation on either kind", names.ANNOTATION_PAUSED, "`true`: start no further node; set by you"),
    ("annotation on NodeOps", names.ANNOTATION_PAUSED_BY, "the pause was handed on by the upgrade"),
    (
        "annotation on children",
        names.ANNOTATION_NODE_OP,
        "the NodeOp's name in full, where the label is shortened",
    ),
    (
        "annotation on children",
        names.ANNOTATION_NODE,
        "the node's name in full, where the label is shortened",
    ),
    ("annotation on reboot pods", names.ANNOTATION_REBOOT_STATE, "`completed` or `failed: <reason>`"),
    ("annotation on reboot pods", names.ANNOTATION_REBOOT_BOOT_ID, "the boot that the pod ended"),
    ("finalizer on NodeOps", names.FINALIZER, "the operation's cordons are lifted before it goes"),
)


def reference() -> str:
    """The page `docs/reference.md`."""
    parts = [HEAD]
    for resource in MODELS:
        parts += _kind(resource)
    parts += ["## Labels, annotations and the finalizer\n", _table(("where", "name", "meaning"), _marks())]
    parts += ["## Flags of `kairos-operator run`\n", _table(("flag", "default", "meaning"), _flags())]
    return "\n".join(parts)


def _kind(resource: Resource) -> Iterator[str]:
    schema = object_schema(resource)
    yield f"## {resource.kind}\n"
    yield PURPOSE[resource] + "\n"
    yield (
        f"`kubectl get {resource.plural}`, short name `{SHORT_NAMES[resource]}`, category `{CATEGORY}`"
        f" (`kubectl get {CATEGORY}` shows both kinds).\n"
    )
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    yield f"### {resource.kind} spec\n"
    yield spec["description"] + "\n"
    yield _table(("field", "type", "default", "meaning"), _fields(spec))
    yield f"### {resource.kind} status\n"
    yield status["description"] + "\n"
    rows = (row[:2] + row[3:] for row in _fields(status))
    if resource is NODE_OPS:
        yield _table(("field", "type", "meaning"), rows)
        return
    shared = {row[0] for row in _fields(object_schema(NODE_OPS)["properties"]["status"])}
    yield "All fields of the [status of a NodeOp](#nodeop-status), and:\n"
    yield _table(("field", "type", "meaning"), (row for row in rows if row[0] not in shared))


def _fields(schema: Schema, path: str = "") -> Iterator[tuple[str, ...]]:
    """Name, type, default and meaning of every field, those within a field after it."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        where = path + name
        default = "**required**" if name in required else _default(field)
        yield f"`{where}`", _type(field), default, _meaning(field)
        inside, suffix = _inside(field)
        yield from _fields(inside, f"{where}{suffix}.")


def _inside(field: Schema) -> tuple[Schema, str]:
    """The object within a field, and what its path is marked with."""
    if field.get("type") == "array":
        return field["items"], "[]"
    if isinstance(field.get("additionalProperties"), dict):
        return field["additionalProperties"], ".*"
    return field, ""


def _type(field: Schema) -> str:
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map of {_type(field['additionalProperties'])}"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _default(field: Schema) -> str:
    return f"`{_plain(field['default'])}`" if field.get("default", {}) != {} else ""


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _meaning(field: Schema) -> str:
    """The field's sentence, and its bounds where they say something."""
    text = field.get("description", "")
    if "enum" in field and not all(str(value) in text for value in field["enum"]):
        text += f" One of {', '.join(f'`{value}`' for value in field['enum'])}."
    low = field.get("minimum")
    if field.get("type") == "integer" and low is not None and low >= 0:
        text += f" From {low} to {field['maximum']}." if field.get("maximum", 2**31) < 2**31 - 1 else ""
    return str(text)


def _marks() -> Iterator[tuple[str, ...]]:
    for where, name, meaning in MARKS:
        yield where, f"`{name}`", meaning


def _flags() -> Iterator[tuple[str, ...]]:
    parser = argparse.ArgumentParser(add_help=False)
    add_run_flags(parser)
    for action in parser._actions:  # argparse has no public way to them
        default = "" if action.default in (None, "") else f"`{_plain(action.default)}`"
        text = str(action.help).partition(" (default: ")[0]
        yield f"`{action.option_strings[0]}`", default, text


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    def line(cells: tuple[Any, ...]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), line(("---",) * len(head)), *map(line, rows)]) + "\n"
