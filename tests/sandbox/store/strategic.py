"""Strategic merge patches of built-in kinds, by the well-known merge keys of their types.

Done: maps, lists merged by key, lists of plain values with the merge strategy, `$patch: delete|replace`,
`$deleteFromPrimitiveList`, `$retainKeys` and `$setElementOrder`. A list that is not known here is replaced, as
the API server replaces lists without a merge strategy.
"""

from __future__ import annotations

from typing import Any

from tests.sandbox.store.errors import bad_request, not_implemented
from tests.sandbox.store.jsondata import copy_json

# patchMergeKey by field name; the parent tells `ports` of a container from those of a service.
MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "conditions": "type",
    "addresses": "type",
    "taints": "key",
    "ownerReferences": "uid",
    "secrets": "name",
    "webhooks": "name",
    "ports": "containerPort",
    "podIPs": "ip",
}
MERGED_VALUES = frozenset(["finalizers", "podCIDRs"])  # lists of plain values with the merge strategy
_DIRECTIVES = ("$patch", "$retainKeys")


def strategic_merge(target: Any, patch: dict[str, Any], field: str = "") -> Any:
    """A new value: `target` with the patch merged in; untouched branches are shared."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy_json(item) for key, item in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"Unknown patch type: {directive}")
    merged = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: item for key, item in merged.items() if key in patch["$retainKeys"]}
    for key, item in patch.items():
        _merge_field(merged, key, item, patch, field)
    return merged


def _merge_field(merged: dict[str, Any], key: str, item: Any, patch: dict[str, Any], field: str) -> None:
    if key in _DIRECTIVES or key.startswith("$setElementOrder/"):
        return
    if key.startswith("$deleteFromPrimitiveList/"):
        name = key.partition("/")[2]
        merged[name] = [one for one in merged.get(name) or [] if one not in item]
    elif key.startswith("$"):
        raise not_implemented(f"the strategic merge directive {key}")
    elif item is None:
        merged.pop(key, None)
    elif isinstance(item, dict):
        merged[key] = strategic_merge(merged.get(key), item, key)
    elif isinstance(item, list):
        order = patch.get(f"$setElementOrder/{key}")
        merged[key] = _merge_list(merged.get(key) or [], item, _merge_key(key, field), order, key)
    else:
        merged[key] = item


def _merge_key(key: str, parent: str) -> str:
    if key == "ports" and parent == "spec":
        return "port"
    return MERGE_KEYS.get(key, "")


def _merge_list(
    target: list[Any], patch: list[Any], key: str, order: list[Any] | None, field: str
) -> list[Any]:
    if not key and field not in MERGED_VALUES:
        return [copy_json(one) for one in patch]
    if not key:
        merged = [*target, *(one for one in patch if one not in target)]
        return _ordered(merged, order, lambda one: one)
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [copy_json(one) for one in patch if one.get("$patch") != "replace"]
    merged = list(target)
    for one in patch:
        if not isinstance(one, dict) or key not in one:
            raise bad_request(f"map: {one} does not contain declared merge key: {key}")
        at = next((index for index, old in enumerate(merged) if old.get(key) == one[key]), None)
        if one.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != one[key]]
        elif at is None:
            merged.append(strategic_merge({}, one, field))
        else:
            merged[at] = strategic_merge(merged[at], one, field)
    return _ordered(merged, [one.get(key) for one in order] if order else None, lambda one: one.get(key))


def _ordered(items: list[Any], order: list[Any] | None, key: Any) -> list[Any]:
    if not order:
        return items
    ranks = {value: rank for rank, value in enumerate(order)}
    return sorted(items, key=lambda one: ranks.get(key(one), len(ranks)))
