"""A structural schema: pruning, defaulting and validation of custom resources.

Values are never changed in place: what needs no change is shared with the input, and what is shared with the
stored object was decoded and found valid before, so it is not looked at again (the API server's ratcheting).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tests.sandbox.store.errors import Fault, not_implemented
from tests.sandbox.store.jsondata import Object, copy_json
from tests.sandbox.store.schemacheck import unsupported
from tests.sandbox.store.schemafaults import faults_of

_ROOT_FIELDS = ("apiVersion", "kind", "metadata")
_MISSING = object()


class Schema:
    """The openAPIV3Schema of one version of a definition."""

    def __init__(self, root: Object) -> None:
        self._root = root

    @staticmethod
    def of(root: Mapping[str, Any]) -> Schema:
        """The schema of a definition; the same text gives the same object, so its check is done once."""
        return _schema(json.dumps(root))

    def check(self) -> None:
        """Raise 501 for anything in the schema that is not done here."""
        what = _unsupported(self)
        if what:
            raise not_implemented(what)

    @property
    def root(self) -> Object:
        return self._root

    def decoded(self, obj: Object, old: Object | None) -> Object:
        """The object pruned and defaulted."""
        before: Object = old or {}
        found = dict(obj)
        properties = self._root.get("properties") or {}
        for key, item in obj.items():
            if key in _ROOT_FIELDS:
                continue
            child = properties.get(key)
            if child is None:
                if not self._root.get("x-kubernetes-preserve-unknown-fields"):
                    del found[key]
            elif item is None and not child.get("nullable"):
                del found[key]
            elif item is not (was := before.get(key, _MISSING)):
                found[key] = _decoded(child, item, was)
        for key, child in properties.items():
            if key not in found and "default" in child:
                found[key] = _decoded(child, copy_json(child["default"]), _MISSING)
        return found

    def faults(self, new: Object, old: Object | None) -> list[Fault]:
        """Everything wrong with a decoded object, or with the change from the old one."""
        return faults_of(self._root, new, old)


@lru_cache(maxsize=64)
def _schema(text: str) -> Schema:
    return Schema(json.loads(text))


@lru_cache(maxsize=64)
def _unsupported(schema: Schema) -> str:
    return unsupported(schema.root, "")


def _decoded(node: Object, value: Any, old: Any) -> Any:
    """The value decoded; what it shares with the stored value in its place was decoded before."""
    if isinstance(value, dict):
        return _decoded_map(node, value, old)
    items = node.get("items")
    if isinstance(value, list) and items:
        found = [_decoded(items, one, _MISSING) for one in value]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else found
    return value


def _decoded_map(node: Object, value: Object, old: Any) -> Object:
    before: Object = old if isinstance(old, dict) else {}
    properties = node.get("properties") or {}
    additional = node.get("additionalProperties")
    others = additional if isinstance(additional, dict) else None
    keeps = additional is True or node.get("x-kubernetes-preserve-unknown-fields")
    found: Object = {}
    same = True
    for key, item in value.items():
        if item is not None and item is before.get(key):
            found[key] = item
            continue
        child = properties.get(key, others)
        if child is None and keeps:
            found[key] = item
        elif child is None or (item is None and not child.get("nullable")):
            same = False
        else:
            done = found[key] = (
                _decoded(child, item, before.get(key, _MISSING)) if isinstance(item, (dict, list)) else item
            )
            same = same and done is item
    for key, child in properties.items():
        if "default" in child and key not in found:
            found[key], same = _decoded(child, copy_json(child["default"]), _MISSING), False
    return value if same else found
