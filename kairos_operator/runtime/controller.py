"""The loop: news becomes keys, a key becomes a snapshot, a plan, and its application. The only "reconcile".

A conflict is not an error: the object is read live and looked at again. A refused read or write backs the key off.
Nothing is done unless this replica leads: the client's fence refuses its writes otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import Claim
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, NODES, Resource
from kairos_operator.api.status import Step
from kairos_operator.core import nodeop, orphans, upgrade
from kairos_operator.core.snapshot import Standing
from kairos_operator.runtime.apply import Applier, Subject
from kairos_operator.runtime.caches import CLAIM, FLYING, Caches
from kairos_operator.runtime.client import Listing
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, Conflict, NotFound, NotLeader
from kairos_operator.runtime.memory import Memory
from kairos_operator.runtime.observe import Observer
from kairos_operator.runtime.queue import Queue, QueueClosed

log = logging.getLogger(__name__)

WORKERS = 8


class Kind(Enum):
    """What a key names."""

    NODE_OP = NODE_OPS
    UPGRADE = NODE_OP_UPGRADES
    NODE = NODES


class Key(NamedTuple):
    """One object to look at."""

    kind: Kind
    name: str
    namespace: str = ""


Outcome = Callable[[Key, float, str], None]


@dataclass(slots=True)
class Controller:
    """Looks at what changed until it is stopped; `on_reconcile` is told of each look: key, seconds, error or ""."""

    caches: Caches
    observer: Observer
    applier: Applier
    queue: Queue[Key]
    clock: Clock
    on_reconcile: Outcome | None = None
    running: bool = False
    _memories: dict[str, Memory] = field(default_factory=dict)

    def follow(self) -> None:
        """Let news in the caches become keys, from what they hold already on."""
        self.caches.node_ops.subscribe(self._node_op_changed)
        self.caches.upgrades.subscribe(self._upgrade_changed)
        self.caches.nodes.subscribe(self._node_changed)
        self.caches.jobs.subscribe(self._child_changed)
        self.caches.pods.subscribe(self._child_changed)
        for op in self.caches.node_ops.values():
            self._node_op_changed(None, op)
        for up in self.caches.upgrades.values():
            self._upgrade_changed(None, up)
        for node in self.caches.nodes.values():
            self._node_changed(None, node)

    async def run(self) -> None:
        """Work until the queue is closed or this replica no longer leads (NotLeader)."""
        await self._catch_up()
        self.running = True
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _catch_up(self) -> None:
        """Read the operations live once: this replica's watches may be behind what the leader before it wrote last,
        and an old status would have its deeds done again.
        """
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            store = self.caches.of(resource)
            assert store is not None
            listing = await self._listed(resource)
            for item in listing.items:
                store.observed(item)

    async def _listed(self, resource: Resource) -> Listing:
        while True:
            try:
                return await self.applier.client.list(resource)
            except ApiError as error:
                log.warning("%s; trying again", error.message, extra={"object": resource.plural})
                await self.clock.sleep(error.retry_after or 1.0)

    def stop(self) -> None:
        """Let `run` end once what is under way is done."""
        self.queue.close()

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueClosed:
                return
            try:
                await self._look(key)
            finally:
                self.queue.done(key)

    async def _look(self, key: Key) -> None:
        began, trouble = self.clock.monotonic(), ""
        try:
            again = await self._reconcile(key)
        except Conflict:
            trouble = "Conflict"
            await self._refresh(key)
        except NotLeader:
            self.queue.close()
            raise
        except ApiError as error:
            trouble = error.reason
            wait = self.queue.add_rate_limited(key, error.retry_after or 0.0)
            log.warning("%s; looking again in %.1f s", error.message, wait, extra={"object": _path(key)})
        except Exception:  # one object's bug must not stop the operations of all others
            trouble = "Bug"
            wait = self.queue.add_rate_limited(key)
            log.exception("a bug; looking again in %.1f s", wait, extra={"object": _path(key)})
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)
        if self.on_reconcile is not None:
            self.on_reconcile(key, self.clock.monotonic() - began, trouble)

    async def _reconcile(self, key: Key) -> float | None:
        """Look at one object; returns after how many seconds to look again, if at all."""
        if key.kind is Kind.NODE_OP:
            return await self._node_op(key)
        if key.kind is Kind.UPGRADE:
            return await self._upgrade(key)
        return await self._node(key)

    async def _node_op(self, key: Key) -> float | None:
        op = self.caches.node_ops.get(key.name, key.namespace)
        if op is None:
            return None
        memory = self._memory(op.meta.uid)
        snapshot = await self.observer.node_op(op, memory)
        return await self.applier.plan(Subject(NODE_OPS, op, memory), nodeop.plan(snapshot))

    async def _upgrade(self, key: Key) -> float | None:
        found = self.caches.upgrades.get(key.name, key.namespace)
        if found is None:
            return None
        memory = self._memory(found.meta.uid)
        snapshot = await self.observer.upgrade(found, memory)
        return await self.applier.plan(Subject(NODE_OP_UPGRADES, found, memory), upgrade.plan(snapshot))

    async def _node(self, key: Key) -> float | None:
        """Take off a node the claims of operations that no longer exist."""
        node = self.caches.nodes.get(key.name)
        if node is None:
            return None
        for claim in orphans.claims_on(node):
            if self._known(claim) or await self.observer.standing(claim, node.name) is not Standing.GONE:
                continue
            action = orphans.release(node, claim)
            if action is not None:
                await self.applier.release(action)
                fields = {"node": node.name, "operation": claim.operation}
                log.warning("took the claim of a deleted operation off the node", extra=fields)
                return 0.0
        return None

    async def _refresh(self, key: Key) -> None:
        """Read the object live: a cache that is behind would bring the same conflict again."""
        resource: Resource = key.kind.value
        store = self.caches.of(resource)
        assert store is not None
        try:
            store.observed(await self.applier.client.get(resource, key.name, key.namespace or None))
        except NotFound:
            return
        except ApiError as error:
            log.info("%s", error.message, extra={"object": _path(key)})
        self.queue.add_rate_limited(key)

    def _memory(self, uid: str) -> Memory:
        return self._memories.setdefault(uid, Memory())

    def _known(self, claim: Claim) -> bool:
        op = self.caches.node_ops.get(claim.name, claim.namespace)
        return op is not None and op.meta.uid == claim.uid

    def _node_op_changed(self, old: NodeOp | None, new: NodeOp | None) -> None:
        op = new or old
        assert op is not None
        meta = op.meta
        self.queue.add(Key(Kind.NODE_OP, meta.name, meta.namespace))
        if meta.owner is not None and meta.owner.kind == NODE_OP_UPGRADES.kind:
            self.queue.add(Key(Kind.UPGRADE, meta.owner.name, meta.namespace))
        else:
            self.queue.add(Key(Kind.UPGRADE, meta.name, meta.namespace))
        if new is None:
            self._memories.pop(meta.uid, None)
            for node in self.caches.nodes.lookup(CLAIM, str(meta.claim)):
                self.queue.add(Key(Kind.NODE, node.name))
        if new is None or (new.status.phase is not None and new.status.phase.final):
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        """An operation is over: whoever waits for a node may look again."""
        for op in self.caches.node_ops.values():
            if any(record.step is Step.CLAIM for record in op.status.nodes.values()):
                self.queue.add(Key(Kind.NODE_OP, op.meta.name, op.meta.namespace))

    def _upgrade_changed(self, old: NodeOpUpgrade | None, new: NodeOpUpgrade | None) -> None:
        found = new or old
        assert found is not None
        if new is None:
            self._memories.pop(found.meta.uid, None)
        self.queue.add(Key(Kind.UPGRADE, found.meta.name, found.meta.namespace))

    def _node_changed(self, old: NodeView | None, new: NodeView | None) -> None:
        node = new or old
        assert node is not None
        for op in self.caches.node_ops.lookup(FLYING, node.name):
            self.queue.add(Key(Kind.NODE_OP, op.meta.name, op.meta.namespace))
        if new is not None and any(not self._known(claim) for claim in orphans.claims_on(new)):
            self.queue.add(Key(Kind.NODE, new.name))

    def _child_changed(self, old: JobView | PodView | None, new: JobView | PodView | None) -> None:
        child: Any = new or old
        if child.node_op:
            self.queue.add(Key(Kind.NODE_OP, child.node_op, child.namespace))


def _path(key: Key) -> str:
    place = f"{key.namespace}/" if key.namespace else ""
    return f"{key.kind.value.kind} {place}{key.name}"
