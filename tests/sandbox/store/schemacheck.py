"""What a schema asks for that this server does not do."""

from __future__ import annotations

from tests.sandbox.store.cel import UnsupportedError, compiled
from tests.sandbox.store.jsondata import Object

_PLAIN = """type description title properties required items additionalProperties nullable default enum example
externalDocs minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format minItems
maxItems uniqueItems minProperties maxProperties"""
_EXTENSIONS = (
    "preserve-unknown-fields",
    "int-or-string",
    "list-type",
    "list-map-keys",
    "map-type",
    "validations",
)
_KNOWN = frozenset(_PLAIN.split()) | {f"x-kubernetes-{name}" for name in _EXTENSIONS}
_RULE_KEYS = frozenset(["rule", "message", "messageExpression", "reason", "fieldPath"])


def unsupported(node: Object, path: str) -> str:
    """The first thing in a schema that is not done here, or an empty text."""
    where = path or "the root"
    keys = node.keys() - _KNOWN
    if node.get("x-kubernetes-int-or-string"):
        keys -= {"anyOf"}
    if keys:
        return f"{sorted(keys)[0]} in the schema at {where}"
    for rule in node.get("x-kubernetes-validations") or []:
        if found := _unsupported_rule(rule, where):
            return found
    children = {
        f".{key}": child for key, child in (node.get("properties") or {}).items() if path or key != "metadata"
    }
    children |= {
        f".{key}": node[key] for key in ("items", "additionalProperties") if isinstance(node.get(key), dict)
    }
    return next((found for key, child in children.items() if (found := unsupported(child, path + key))), "")


def _unsupported_rule(rule: Object, where: str) -> str:
    if rule.keys() - _RULE_KEYS:
        return f"{sorted(rule.keys() - _RULE_KEYS)[0]} of a rule at {where}"
    for key in ("rule", "messageExpression"):
        try:
            compiled(rule.get(key) or "true")
        except UnsupportedError as error:
            return f"the {key} at {where}: {error}"
    return ""
