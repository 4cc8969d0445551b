"""What the models refuse, as faults: the same types, bounds and required fields that the CRD schema has.

Reading is strict, as the API server is: `"6"` is no integer and `"yes"` no boolean.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.schema import Schema
from webhooks.faults import MAX_FAULTS, Fault, FaultType, Path

Context = Mapping[str, Any]

Spec = NodeOpSpec | NodeOpUpgradeSpec
_READERS: Mapping[str, TypeAdapter[Spec]] = {
    NODE_OPS.kind: TypeAdapter(NodeOpSpec),
    NODE_OP_UPGRADES.kind: TypeAdapter(NodeOpUpgradeSpec),
}

_TYPES = {
    "string_type": "string",
    "string_unicode": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "int_parsing_size": "integer",
    "bool_type": "boolean",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}

_DETAILS: Mapping[str, tuple[FaultType, Callable[[Context], str]]] = {
    "missing": (FaultType.REQUIRED, lambda _: ""),
    "string_too_short": (
        FaultType.INVALID,
        lambda c: f"should be at least {c['min_length']} chars long",
    ),
    "string_too_long": (FaultType.TOO_LONG, lambda c: f"may not be more than {c['max_length']} bytes"),
    "string_pattern_mismatch": (FaultType.INVALID, lambda c: f"should match '{c['pattern']}'"),
    "greater_than_equal": (FaultType.INVALID, lambda c: f"should be greater than or equal to {c['ge']}"),
    "less_than_equal": (FaultType.INVALID, lambda c: f"should be less than or equal to {c['le']}"),
    "too_short": (FaultType.INVALID, lambda c: f"should have at least {c['min_length']} items"),
    "too_long": (FaultType.TOO_MANY, lambda c: f"must have at most {c['max_length']} items"),
    "enum": (
        FaultType.NOT_SUPPORTED,
        lambda c: "supported values: " + str(c["expected"]).replace(" or ", ", ").replace("'", '"'),
    ),
}


def read_spec(kind: str, value: Any, at: Path) -> tuple[Spec | None, list[Fault]]:
    """The spec that `value` says, which stands at the path `at`; or what its model refuses."""
    try:
        return _READERS[kind].validate_json(_json(value), strict=True), []
    except ValidationError as error:
        return None, [_fault(found, at) for found in error.errors(include_url=False)[: MAX_FAULTS + 1]]


def _json(value: Any) -> bytes:
    """`value` as JSON, quickly where it is text throughout; else as what the models refuse."""
    try:
        return to_json(value)
    except ValueError:
        return json.dumps(value).encode()


def _fault(found: Mapping[str, Any], at: Path) -> Fault:
    where = at + tuple(step for step in found["loc"] if step != "[key]")
    kind, value, context = found["type"], found.get("input"), found.get("ctx", {})
    if kind in _TYPES:
        return Fault(where, FaultType.WRONG_TYPE, f"must be of type {_TYPES[kind]}", value)
    if kind == "json_invalid":
        return Fault(where, FaultType.INVALID, "is not text that can be stored", None)
    if kind in _DETAILS:
        type_, detail = _DETAILS[kind]
        if kind in ("too_short", "too_long"):
            value = context["actual_length"]
        return Fault(where, type_, detail(context), value)
    return Fault(where, FaultType.INVALID, found["msg"], value)


def unknown_fields(schema: Schema, value: Any, at: Path) -> Iterator[Fault]:
    """The fields of `value` that the schema does not have; the API server would drop them, and kubectl refuses."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(schema.get("items", {}), item, (*at, index))
    fields = schema.get("properties")
    if not isinstance(value, dict) or fields is None:
        return
    for name, child in value.items():
        if name in fields:
            yield from unknown_fields(fields[name], child, (*at, name))
            continue
        close = difflib.get_close_matches(name, fields, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        yield Fault((*at, name), FaultType.FORBIDDEN, f"unknown field{hint}")
