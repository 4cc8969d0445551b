"""Operations as the commands see them: an upgrade, or a NodeOp that no upgrade made.

A bare NAME is an upgrade if there is one of that name, else a NodeOp; `nodeop/NAME` and `nodeopupgrade/NAME` (or the
short names) say which. An upgrade and the NodeOp that carries it out share their name and are one operation here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kairos_operator.api.crd import SHORT_NAMES
from kairos_operator.api.names import LABEL_NODE_OP, shortened
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.objects import (
    KINDS,
    ApiObject,
    Meta,
    NodeOp,
    NodeOpUpgrade,
    Unreadable,
    parse_node_op,
    parse_node_op_upgrade,
)
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.api.status import NodeOpStatus, OperationStatus, Phase, blocked_drain
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.core.upgrade import node_op_spec
from kairos_operator.runtime.errors import NotFound

KIND_NAMES: Mapping[str, Resource] = {
    name: res
    for res in (NODE_OP_UPGRADES, NODE_OPS)
    for name in (res.kind.lower(), res.plural, SHORT_NAMES[res], f"{res.kind.lower()}.{res.group}")
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One object of either kind, as read and as it came."""

    resource: Resource
    parsed: NodeOp | NodeOpUpgrade
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def meta(self) -> Meta:
        """Its metadata."""
        return self.parsed.meta

    @property
    def spec(self) -> NodeOpSpec | NodeOpUpgradeSpec:
        """Its spec, as the user wrote it."""
        return self.parsed.spec

    @property
    def status(self) -> OperationStatus:
        """Its status."""
        return self.parsed.status

    @property
    def title(self) -> str:
        """What `-o name` prints."""
        return f"{self.resource.kind.lower()}.{self.resource.group}/{self.meta.name}"

    @property
    def label(self) -> str:
        """What sentences call it."""
        return f"{self.resource.kind} {self.meta.name}"

    @property
    def final(self) -> bool:
        """Whether it has ended for good."""
        return self.status.phase is not None and self.status.phase.final

    @property
    def exit_code(self) -> Exit:
        """How a script is told of its state."""
        codes = {Phase.COMPLETED: Exit.DONE, Phase.FAILED: Exit.FAILED}
        return codes.get(self.status.phase or Phase.PENDING, Exit.UNFINISHED)

    @property
    def began(self) -> datetime | None:
        """When it started, or else when it was made."""
        return self.status.started_at or self.meta.created_at

    @property
    def blocked_drain(self) -> str:
        """What an eviction is refused for now, or nothing."""
        return blocked_drain(self.status)

    @property
    def pod_selector(self) -> str:
        """The label selector of its Jobs' and other pods; an upgrade's NodeOp has the same name."""
        return f"{LABEL_NODE_OP}={shortened(self.meta.name)}"

    @property
    def about(self) -> str:
        """What it does, in a few words: the image or the command."""
        if isinstance(self.spec, NodeOpUpgradeSpec):
            return self.spec.image
        return " ".join(" ".join(self.spec.command).split())


def parse_operation(raw: Mapping[str, Any]) -> Operation:
    """An object from the wire or from a manifest; raises Trouble where its fields make no sense."""
    resource = KINDS[raw["kind"]]
    try:
        parsed = parse_node_op(raw) if resource == NODE_OPS else parse_node_op_upgrade(raw)
    except Unreadable as error:
        raise Trouble(f"{resource.kind} {raw['metadata'].get('name', '')} cannot be read: {error}") from error
    return Operation(resource, parsed, raw)


def as_node_op(operation: Operation) -> NodeOp:
    """The NodeOp that carries the operation out: itself, or what the operator makes of an upgrade."""
    parsed = operation.parsed
    if isinstance(parsed.spec, NodeOpSpec):
        return ApiObject(parsed.meta, parsed.spec, NodeOpStatus())
    upgrade = ApiObject(parsed.meta, parsed.spec, parsed.status)
    return ApiObject(parsed.meta, node_op_spec(upgrade), NodeOpStatus())


async def find(cluster: Cluster, name: str) -> Operation:
    """The operation that NAME means. Raises Trouble where there is none."""
    resources, bare = _meant(name)
    for resource in resources:
        try:
            raw = await cluster.client.get(resource, bare, cluster.namespace)
        except NotFound as error:
            if not error.details.get("name"):
                raise  # the kind itself is not known there
            continue
        return parse_operation({"kind": resource.kind, **raw})
    kinds = " or ".join(resource.kind for resource in resources)
    raise Trouble(
        f"there is no {kinds} {bare} in namespace {cluster.namespace}; `kubectl kairos history -A` lists all"
    )


def _meant(name: str) -> tuple[tuple[Resource, ...], str]:
    kind, slash, bare = name.partition("/")
    if not slash:
        return (NODE_OP_UPGRADES, NODE_OPS), name
    resource = KIND_NAMES.get(kind.lower())
    if resource is None or not bare:
        raise Trouble(f"{name} names no operation; write NAME, nodeopupgrade/NAME or nodeop/NAME", Exit.USAGE)
    return (resource,), bare


async def all_operations(cluster: Cluster) -> list[Operation]:
    """All operations of the namespace or the cluster, the latest first; an upgrade's own NodeOp is not another one."""
    found = []
    for resource in (NODE_OP_UPGRADES, NODE_OPS):
        listing = await cluster.list(resource, cluster.scope)
        found += [parse_operation(raw) for raw in listing.items]
    return latest_first(found)


def latest_first(operations: list[Operation]) -> list[Operation]:
    """The operations without the upgrades' own NodeOps, by their beginning."""
    own = [one for one in operations if not made_by_upgrade(one)]
    return sorted(own, key=lambda one: (one.began.timestamp() if one.began else 0.0, one.title), reverse=True)


def made_by_upgrade(operation: Operation) -> bool:
    """Whether an upgrade made this NodeOp."""
    owner = operation.meta.owner
    return owner is not None and owner.kind == NODE_OP_UPGRADES.kind
