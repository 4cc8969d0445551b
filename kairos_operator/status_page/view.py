"""What the page shows of an operation, and what has changed since a browser was told. Pure.

A NodeOp that carries out an upgrade is not shown: its upgrade says the same. Of past operations the latest are shown.
Of a spec only the image is, since a command may hold what not everybody should read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kairos_operator.api.base import timestamp
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import NodeStatus, Phase, Step, blocked_drain

PAST_OPERATIONS = 30
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Tile = tuple[
    str, str, str, str
]  # phase (of the tile: a skipped node has one of its own), step, since, message


@dataclass(frozen=True, slots=True)
class OperationView:
    """One operation as the page shows it; `order` sorts the newest first."""

    key: str
    order: datetime
    final: bool
    facts: Mapping[str, Any]
    nodes: Mapping[str, Tile]


def shown(node_ops: Iterable[NodeOp], upgrades: Iterable[NodeOpUpgrade]) -> list[NodeOp | NodeOpUpgrade]:
    """The operations that the page shows: all that are not over, then the latest of those that are."""
    found: list[NodeOp | NodeOpUpgrade] = [op for op in node_ops if not _of_upgrade(op)]
    found += upgrades
    past = [op for op in found if _final(op)]
    past.sort(key=_order, reverse=True)
    return sorted((op for op in found if not _final(op)), key=_order, reverse=True) + past[:PAST_OPERATIONS]


def view(op: NodeOp | NodeOpUpgrade) -> OperationView:
    """One operation."""
    meta, status = op.meta, op.status
    spec = op.spec
    kind = NODE_OPS.kind if hasattr(spec, "command") else NODE_OP_UPGRADES.kind
    facts: dict[str, Any] = {
        "kind": kind,
        "namespace": meta.namespace,
        "name": meta.name,
        "image": spec.image or "",
        "phase": (status.phase or Phase.PENDING).value,
        "message": status.message or "",
        "paused": meta.paused,
        "blocked": blocked_drain(status),
        "startedAt": timestamp(status.started_at) if status.started_at else "",
        "completedAt": timestamp(status.completed_at) if status.completed_at else "",
    }
    nodes = {name: tile(record) for name, record in status.nodes.items()}
    return OperationView(f"{kind}/{meta.namespace}/{meta.name}", _order(op), _final(op), facts, nodes)


def tile(record: NodeStatus) -> Tile:
    """One node."""
    phase = record.phase.value
    if record.step is Step.DONE and record.outcome is not None:
        phase = record.outcome.value
    since = timestamp(record.step_started_at) if record.step_started_at else ""
    return phase, record.step.value, since, record.message or ""


def differences(
    before: Mapping[str, OperationView], after: Mapping[str, OperationView]
) -> Iterator[dict[str, Any]]:
    """What to tell a browser that knows `before`: an operation's facts, and those of its nodes that changed."""
    for key in before:
        if key not in after:
            yield {"key": key, "gone": True}
    for key, new in after.items():
        old = before.get(key)
        if old is new:
            continue
        known: Mapping[str, Tile] = old.nodes if old else {}
        changed = {name: told for name, told in new.nodes.items() if known.get(name) != told}
        removed = [name for name in known if name not in new.nodes]
        if old is None or old.facts != new.facts or changed or removed:
            told = {"key": key, "order": timestamp(new.order), "facts": dict(new.facts), "nodes": changed}
            yield {**told, "removed": removed} if removed else told


def _of_upgrade(op: NodeOp) -> bool:
    return op.meta.owner is not None and op.meta.owner.kind == NODE_OP_UPGRADES.kind


def _final(op: NodeOp | NodeOpUpgrade) -> bool:
    return op.status.phase is not None and op.status.phase.final


def _order(op: NodeOp | NodeOpUpgrade) -> datetime:
    return op.meta.created_at or op.status.started_at or _LONG_AGO
