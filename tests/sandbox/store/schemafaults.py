"""Validation of a value against a structural schema, with the API server's wording.

Rules in CEL only run on values whose structure is right. A part that equals the stored one is not judged again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.sandbox.store.cel import EvaluationError, compiled
from tests.sandbox.store.errors import OMITTED, Fault, FaultType, printed
from tests.sandbox.store.jsondata import Object, same_json

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)")
_REASONS: dict[str, FaultType] = {
    "FieldValueRequired": "Required",
    "FieldValueForbidden": "Forbidden",
    "FieldValueDuplicate": "Duplicate",
}
_BLOCKING = frozenset(["NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"])
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)
_MISSING = object()


def faults_of(root: Object, new: Object, old: Object | None) -> list[Fault]:
    """The faults of a whole object."""
    faults: list[Fault] = []
    _structure(root, new, _MISSING if old is None else old, "", faults)
    if any(one.type in _BLOCKING for one in faults):
        if _has_rules(root):
            faults.append(Fault("Invalid", "<nil>", None, _UNCHECKED))
    else:
        _rules(root, new, _MISSING if old is None else old, "", faults)
    return faults


def _has_rules(root: Object) -> bool:
    return "x-kubernetes-validations" in str(root)


def _structure(node: Object, value: Any, old: Any, path: str, faults: list[Fault]) -> None:
    if value is old or (path and old is not _MISSING and same_json(value, old)):
        return
    if value is None and node.get("nullable"):
        return
    if not _type_fault(node, value, path, faults):
        return
    if "enum" in node and not any(same_json(value, one) for one in node["enum"]):
        text = "supported values: " + ", ".join(printed(one) for one in node["enum"])
        faults.append(Fault("NotSupported", path, value, text))
    if isinstance(value, str):
        _text_faults(node, value, path, faults)
    elif isinstance(value, dict):
        _map_faults(node, value, old, path, faults)
    elif isinstance(value, list):
        _list_faults(node, value, old, path, faults)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _number_faults(node, value, path, faults)


def _type_of(value: Any) -> str:
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    ):
        if isinstance(value, kind):
            return name
    return "object" if isinstance(value, dict) else "null"


def _type_fault(node: Object, value: Any, path: str, faults: list[Fault]) -> bool:
    """Whether the value is of the schema's type; notes a fault where not."""
    found, wanted = _type_of(value), node.get("type")
    if node.get("x-kubernetes-int-or-string"):
        if found in ("integer", "string"):
            return True
        wanted = "integer,string"
    if wanted is None or found == wanted or (wanted == "number" and found == "integer"):
        return True
    if wanted == "integer" and found == "number" and float(value).is_integer():
        return True
    faults.append(Fault("TypeInvalid", path, found, f'{path} in body must be of type {wanted}: "{found}"'))
    return False


def _text_faults(node: Object, value: str, path: str, faults: list[Fault]) -> None:
    if "maxLength" in node and len(value) > node["maxLength"]:
        faults.append(Fault("TooLong", path, None, f"may not be more than {node['maxLength']} bytes"))
    if len(value) < node.get("minLength", 0):
        text = f"{path} in body should be at least {node['minLength']} chars long"
        faults.append(Fault("Invalid", path, value, text))
    if "pattern" in node and not re.search(node["pattern"], value):
        faults.append(Fault("Invalid", path, value, f"{path} in body should match '{node['pattern']}'"))
    if node.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        text = f"{path} in body must be of type date-time: {printed(value)}"
        faults.append(Fault("TypeInvalid", path, value, text))


def _number_faults(node: Object, value: float, path: str, faults: list[Fault]) -> None:
    least, most = node.get("minimum"), node.get("maximum")
    if least is not None and (value < least or (node.get("exclusiveMinimum") and value == least)):
        bound = "greater than" if node.get("exclusiveMinimum") else "greater than or equal to"
        faults.append(Fault("Invalid", path, value, f"{path} in body should be {bound} {least}"))
    if most is not None and (value > most or (node.get("exclusiveMaximum") and value == most)):
        bound = "less than" if node.get("exclusiveMaximum") else "less than or equal to"
        faults.append(Fault("Invalid", path, value, f"{path} in body should be {bound} {most}"))
    if "multipleOf" in node and value % node["multipleOf"]:
        text = f"{path} in body should be a multiple of {node['multipleOf']}"
        faults.append(Fault("Invalid", path, value, text))
    if node.get("format") == "int32" and not -(2**31) <= value < 2**31:
        faults.append(Fault("Invalid", path, value, f"{path} in body must be of type int32: {value}"))


def _map_faults(node: Object, value: Object, old: Any, path: str, faults: list[Fault]) -> None:
    before = old if isinstance(old, dict) else {}
    if "maxProperties" in node and len(value) > node["maxProperties"]:
        text = f"{len(value)}: must have at most {node['maxProperties']} items"
        faults.append(Fault("TooMany", path, None, text))
    if len(value) < node.get("minProperties", 0):
        text = f"{path} in body should have at least {node['minProperties']} properties"
        faults.append(Fault("Invalid", path, len(value), text))
    faults += [Fault("Required", _under(path, key)) for key in node.get("required") or [] if key not in value]
    for key, child, where in _children(node, value, before, path):
        _structure(child, value[key], before.get(key, _MISSING), where, faults)


def _children(node: Object, value: Object, before: Object, path: str) -> Iterator[tuple[str, Object, str]]:
    """The members of a map that have a schema and are not the stored ones themselves: key, schema and path."""
    properties, additional = node.get("properties") or {}, node.get("additionalProperties")
    others = additional if isinstance(additional, dict) else None
    for key, item in value.items():
        if item is before.get(key, _MISSING):
            continue
        child = properties.get(key, others)
        if child is not None and (path or key != "metadata"):
            yield key, child, _under(path, key)


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _list_faults(node: Object, value: list[Any], old: Any, path: str, faults: list[Fault]) -> None:
    if "maxItems" in node and len(value) > node["maxItems"]:
        text = f"{len(value)}: must have at most {node['maxItems']} items"
        faults.append(Fault("TooMany", path, None, text))
    if len(value) < node.get("minItems", 0):
        text = f"{path} in body should have at least {node['minItems']} items"
        faults.append(Fault("Invalid", path, len(value), text))
    keys = node.get("x-kubernetes-list-map-keys") or []
    unique = keys or node.get("x-kubernetes-list-type") == "set"
    seen: list[Any] = []
    for index, one in enumerate(value):
        where = f"{path}[{index}]"
        if unique:
            mark = {key: one.get(key) for key in keys} if keys and isinstance(one, dict) else one
            if any(same_json(mark, other) for other in seen):
                faults.append(Fault("Duplicate", where, mark))
            seen.append(mark)
        _structure(node.get("items") or {}, one, _partner(old, one, keys), where, faults)


def _partner(old: Any, item: Any, keys: list[str]) -> Any:
    """The old item that a list item is compared to: only lists with keys have one."""
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return _MISSING
    same = (
        one for one in old if isinstance(one, dict) and all(one.get(key) == item.get(key) for key in keys)
    )
    return next(same, _MISSING)


def _rules(node: Object, value: Any, old: Any, path: str, faults: list[Fault]) -> None:
    if value is old or (path and old is not _MISSING and same_json(value, old)) or value is None:
        return
    for rule in node.get("x-kubernetes-validations") or []:
        _rule(rule, value, old, path, faults)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, child, where in _children(node, value, before, path):
            _rules(child, value[key], before.get(key, _MISSING), where, faults)
    elif isinstance(value, list) and node.get("items"):
        keys = node.get("x-kubernetes-list-map-keys") or []
        for index, one in enumerate(value):
            _rules(node["items"], one, _partner(old, one, keys), f"{path}[{index}]", faults)


def _rule(rule: Object, value: Any, old: Any, path: str, faults: list[Fault]) -> None:
    program = compiled(rule["rule"])
    if program.transition and old is _MISSING:
        return
    env = {"self": value, "oldSelf": old}
    pointed = rule.get("fieldPath", "")
    where = path + pointed if path else pointed.lstrip(".")
    shown = OMITTED if pointed else _type_of(value) if isinstance(value, (dict, list)) else value
    try:
        if program.evaluate(env) is True:
            return
        text = _message(rule, env)
    except EvaluationError as error:
        text = f"rule evaluation error: {error} evaluating rule: {rule.get('message') or rule['rule']}"
    faults.append(Fault(_REASONS.get(rule.get("reason", ""), "Invalid"), where or "<nil>", shown, text))


def _message(rule: Object, env: Object) -> str:
    if rule.get("messageExpression"):
        try:
            said = compiled(rule["messageExpression"]).evaluate(env)
        except EvaluationError:
            said = None
        if isinstance(said, str) and said.strip():
            return said
    return rule.get("message") or f"failed rule: {rule['rule']}"
