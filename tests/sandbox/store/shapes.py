"""How the parts of an object merge and are owned: as maps, as atoms, as sets or as lists with keys.

Custom resources say so in their schema (x-kubernetes-list-type and so on); for built-in kinds and metadata the
well-known field names say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.sandbox.store.jsondata import Object

Form = Literal["map", "atomic", "set", "keyed"]

_KEYED: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "addresses": ("type",),
    "ownerReferences": ("uid",),
    "webhooks": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
}
_SETS = frozenset(["finalizers", "podCIDRs"])
_ATOMIC_MAPS = frozenset(
    [
        "selector",
        "nodeSelector",
        "labelSelector",
        "podSelector",
        "namespaceSelector",
        "objectSelector",
        "secretKeyRef",
        "configMapKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "secretRef",
        "configMapRef",
        "involvedObject",
        "roleRef",
    ]
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape at one place of an object: by schema node where there is one, else by the field's name."""

    name: str = ""
    node: Mapping[str, Any] | None = None
    within: str = ""

    def child(self, key: str) -> Shape:
        """The shape of a member of a map."""
        if self.node is None:
            return Shape(key, None, self.name)
        if self.name == "" and key == "metadata":
            return Shape("metadata")
        found = (self.node.get("properties") or {}).get(key)
        if found is None and isinstance(self.node.get("additionalProperties"), dict):
            found = self.node["additionalProperties"]
        return Shape(key, found if isinstance(found, dict) else {}, self.name)

    def item(self) -> Shape:
        """The shape of an item of a list."""
        if self.node is None:
            return Shape("*", None, self.name)
        return Shape("*", self.node.get("items") or {}, self.name)

    def form(self, value: Any) -> Form:
        """How a value here merges."""
        if isinstance(value, dict):
            return "atomic" if self._atomic_map() else "map"
        if isinstance(value, list):
            return self._list_form()
        return "atomic"

    def _atomic_map(self) -> bool:
        if self.node is not None:
            return self.node.get("x-kubernetes-map-type") == "atomic"
        return self.name in _ATOMIC_MAPS and self.within != "service"

    def _list_form(self) -> Form:
        if self.node is None:
            if self.name in _SETS:
                return "set"
            return "keyed" if self.keys() else "atomic"
        return {"map": "keyed", "set": "set"}.get(self.node.get("x-kubernetes-list-type", ""), "atomic")  # type: ignore[return-value]

    def keys(self) -> tuple[str, ...]:
        """The keys of a keyed list."""
        if self.node is not None:
            return tuple(self.node.get("x-kubernetes-list-map-keys") or ())
        if self.name == "ports":
            return ("port", "protocol") if self.within == "spec" else ("containerPort", "protocol")
        return _KEYED.get(self.name, ())


def key_of(item: Any, keys: tuple[str, ...]) -> Object:
    """What identifies an item of a keyed list."""
    defaults = {"protocol": "TCP"}
    found = {key: item.get(key, defaults.get(key)) for key in keys} if isinstance(item, dict) else {}
    return {key: value for key, value in found.items() if value is not None}
