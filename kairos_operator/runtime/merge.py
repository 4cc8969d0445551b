"""JSON merge patches (RFC 7396): what to send so that one value becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kairos_operator.api.status import OperationStatus


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that turns `old` into `new`; lists are replaced whole, as the RFC has it."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            inner = difference(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch


def status_difference(old: OperationStatus, new: OperationStatus) -> dict[str, Any]:
    """The merge patch of a status. Entries of nodes that did not change are not even rendered: they are thousands."""
    without = {"node_statuses"}
    patch = difference(
        old.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=without),
        new.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=without),
    )
    if new.node_statuses is None:
        return patch if old.node_statuses is None else {**patch, "nodeStatuses": None}
    before = old.nodes
    nodes: dict[str, Any] = {name: None for name in before if name not in new.nodes}
    for name, record in new.nodes.items():
        known = before.get(name)
        if record is known:
            continue
        change = difference(known.render() if known else {}, record.render())
        if change:
            nodes[name] = change
    if nodes or old.node_statuses is None:
        patch["nodeStatuses"] = nodes
    return patch
