"""The operator's caches: narrow watches, and which operation an object's change is news for.

Jobs and Pods are watched by the operator's own label, never all pods of a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kairos_operator.api.cluster import JobView, NodeView, PodView, parse_child, parse_job, parse_node
from kairos_operator.api.names import LABEL_NODE_OP
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade, parse_node_op, parse_node_op_upgrade
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS, Resource
from kairos_operator.core.orphans import claims_on
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store

OWNER = "owner"  # Jobs and pods by the UID of their controller; NodeOps by that of their upgrade
FLYING = "flying"  # NodeOps by the nodes that they have in flight
CLAIM = "claim"  # nodes by the claims that stand on them


@dataclass(frozen=True, slots=True)
class Caches:
    """One store for each resource that decisions read."""

    node_ops: Store[NodeOp]
    upgrades: Store[NodeOpUpgrade]
    nodes: Store[NodeView]
    jobs: Store[JobView]
    pods: Store[PodView]

    @classmethod
    def empty(cls) -> Caches:
        """Stores with their indexes, and nothing in them yet."""
        caches = cls(
            Store(parse_node_op),
            Store(parse_node_op_upgrade),
            Store(parse_node),
            Store(parse_job),
            Store(parse_child),
        )
        caches.node_ops.index(OWNER, lambda op: _owner(op.meta.owner))
        caches.node_ops.index(FLYING, _flying)
        caches.nodes.index(CLAIM, lambda node: {str(claim) for claim in claims_on(node)})
        caches.jobs.index(OWNER, lambda job: _owner(job.owner))
        caches.pods.index(OWNER, lambda pod: _owner(pod.owner))
        return caches

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What is cached."""
        return (NODE_OPS, NODE_OP_UPGRADES, NODES, JOBS, PODS)

    def size(self, resource: Resource) -> Callable[[], int]:
        """Tells how many objects of a resource are cached."""
        return lambda: len(self.of(resource) or ())

    def of(self, resource: Resource) -> Store[Any] | None:
        """The store of a resource, or None for one that is not cached."""
        stores: dict[Resource, Store[Any]] = {
            NODE_OPS: self.node_ops,
            NODE_OP_UPGRADES: self.upgrades,
            NODES: self.nodes,
            JOBS: self.jobs,
            PODS: self.pods,
        }
        return stores.get(resource)

    def reflectors(
        self, client: Client, clock: Clock, on_restart: Callable[[Resource, str], None] | None = None
    ) -> list[Reflector[Any]]:
        """What fills the stores and keeps them up to date, one for each."""
        selectors = {JOBS: LABEL_NODE_OP, PODS: LABEL_NODE_OP}
        found = []
        for resource in self.resources:
            store = self.of(resource)
            assert store is not None
            restarted = _told(on_restart, resource)
            found.append(
                Reflector(
                    client,
                    resource,
                    store,
                    clock=clock,
                    label_selector=selectors.get(resource, ""),
                    on_restart=restarted,
                )
            )
        return found


def _told(
    on_restart: Callable[[Resource, str], None] | None, resource: Resource
) -> Callable[[str], None] | None:
    if on_restart is None:
        return None
    tell = on_restart
    return lambda reason: tell(resource, reason)


async def filled(reflectors: Iterable[Reflector[Any]]) -> None:
    """Return once every cache has seen a complete list."""
    await asyncio.gather(*(reflector.synced.wait() for reflector in reflectors))


def _owner(owner: Any) -> tuple[str, ...]:
    return (owner.uid,) if owner else ()


def _flying(op: NodeOp) -> list[str]:
    return [name for name, record in op.status.nodes.items() if record.in_flight]
