"""The loop: news becomes keys, a key becomes a snapshot, a plan, and its application. The only "reconcile".

A conflict is not an error: the object is read live and looked at again. A refused read or write backs the key off.
Nothing is done unless this replica leads: the client's fence refuses its writes otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kairos_operator.api.objects import ApiObject
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.core import nodeop, orphans, upgrade
from kairos_operator.core.actions import Plan
from kairos_operator.core.snapshot import Standing
from kairos_operator.runtime.apply import Applier, Begin, Subject
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.carrier import Carrier
from kairos_operator.runtime.chains import AT_ONCE
from kairos_operator.runtime.client import Listing
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, Conflict, NotFound, NotLeader
from kairos_operator.runtime.memory import Memory
from kairos_operator.runtime.news import Key, Kind, News
from kairos_operator.runtime.observe import Observer
from kairos_operator.runtime.queue import Queue, QueueClosed

log = logging.getLogger(__name__)

WORKERS = 8
REST_SECONDS = 0.25  # the longest rest of an object after a look; otherwise as long as that kept us busy
PACE_SECONDS = 0.0002  # for each node beyond the first hundred: the rest after a status write, up to a second


Outcome = Callable[[Key, float, str], None]


@dataclass(slots=True)
class Controller:
    """Looks at what changed until it is stopped; `on_reconcile` is told of each look: key, seconds, error or "".

    `busy` tells how many seconds this program has worked so far, where that is not the same as the time.
    `chains_at_once` bounds the chains of actions of one operation that are under way.
    """

    caches: Caches
    observer: Observer
    applier: Applier
    queue: Queue[Key]
    clock: Clock
    on_reconcile: Outcome | None = None
    busy: Callable[[], float] | None = None
    chains_at_once: int = AT_ONCE
    running: bool = False
    _paces: dict[Key, float] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _carrier: Carrier | None = None

    def follow(self) -> None:
        """Let news in the caches become keys, from what they hold already on."""
        News(self.caches, self.queue, self._forget, self._job_seen).follow()

    async def run(self) -> None:
        """Work until the queue is closed or this replica no longer leads (NotLeader)."""
        await self._catch_up()
        self.running = True
        try:
            async with asyncio.TaskGroup() as group:
                self._carrier = Carrier(group, self.queue, self.clock, self.chains_at_once)
                for _ in range(WORKERS):
                    group.create_task(self._work())
        except ExceptionGroup as ended:
            lost, others = ended.split(NotLeader)
            if lost is None or others is not None:
                raise
            # Not for each worker in a group: whoever waits for the end of leading waits for this error.
            raise NotLeader(str(lost.exceptions[0])) from None
        finally:
            self.running = False

    async def _catch_up(self) -> None:
        """Read the operations live once: this replica's watches may be behind what the leader before it wrote last,
        and an old status would have its deeds done again, also for an operation that is no longer there.
        """
        for memory in self._memories.values():
            memory.absent.clear()  # the leader before may have made it
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            store = self.caches.of(resource)
            assert store is not None
            listing = await self._listed(resource)
            store.catch_up(listing.items, listing.resource_version)

    async def _listed(self, resource: Resource) -> Listing:
        while True:
            try:
                return await self.applier.deeds.client.list(resource)
            except ApiError as error:
                log.warning("%s; trying again", error.message, extra={"object": resource.plural})
                await self.clock.sleep(error.retry_after or 1.0)

    def stop(self) -> None:
        """Let `run` end once what is under way is done."""
        self.queue.close()
        for memory in self._memories.values():
            memory.chains.drop()

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueClosed:
                return
            spent = self.busy or self.clock.monotonic
            began = spent()
            try:
                await self._look(key)
                # News that comes meanwhile becomes one look: what a look costs grows with the fleet.
                await self.clock.sleep(max(min(spent() - began, REST_SECONDS), self._paces.pop(key, 0.0)))
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
            log.warning("%s; looking again in %.1f s", error.message, wait, extra={"object": key.path})
        except Exception:  # one object's bug must not stop the operations of all others
            trouble = "Bug"
            wait = self.queue.add_rate_limited(key)
            log.exception("a bug; looking again in %.1f s", wait, extra={"object": key.path})
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
        if op.meta.deleting_since is not None:
            memory.chains.drop()
        snapshot = await self.observer.node_op(op, memory)
        if _overtaken(op, self.caches.node_ops.get(key.name, key.namespace)):
            return 0.0
        # With thousands of nodes each part takes a while, and probes, watches and the lease are not to wait for all.
        await asyncio.sleep(0)
        plan = nodeop.plan(snapshot)
        memory.doubts = plan.doubts
        if plan.status is not None:
            memory.stopwatch.begin(plan.status.nodes, snapshot.now, self.clock.monotonic())
        await asyncio.sleep(0)
        assert self._carrier is not None
        begin = partial(self._carrier.begin, key, memory.chains)
        return await self._apply(key, Subject(NODE_OPS, op, memory), plan, begin)

    async def _upgrade(self, key: Key) -> float | None:
        found = self.caches.upgrades.get(key.name, key.namespace)
        if found is None:
            return None
        memory = self._memory(found.meta.uid)
        snapshot = await self.observer.upgrade(found, memory)
        if _overtaken(found, self.caches.upgrades.get(key.name, key.namespace)):
            return 0.0
        return await self._apply(key, Subject(NODE_OP_UPGRADES, found, memory), upgrade.plan(snapshot))

    async def _apply(
        self, key: Key, subject: Subject, plan: Plan[Any], begin: Begin | None = None
    ) -> float | None:
        before = subject.memory.status_written
        try:
            return await self.applier.plan(subject, plan, begin)
        finally:
            if plan.status is not None and subject.memory.status_written != before:
                self._paces[key] = pace(len(plan.status.nodes))

    async def _node(self, key: Key) -> float | None:
        """Take off a node the claims of operations that no longer exist."""
        node = self.caches.nodes.get(key.name)
        if node is None:
            return None
        for claim in orphans.claims_on(node):
            if await self.observer.standing(claim, node.name) is not Standing.GONE:
                continue
            action = orphans.release(node, claim)
            if action is not None:
                await self.applier.deeds.release(action)
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
            store.observed(await self.applier.deeds.client.get(resource, key.name, key.namespace or None))
        except NotFound:
            return
        except ApiError as error:
            log.info("%s", error.message, extra={"object": key.path})
        self.queue.add_rate_limited(key)

    def _memory(self, uid: str) -> Memory:
        return self._memories.setdefault(uid, Memory())

    def _job_seen(self, uid: str, node: str) -> None:
        self._memory(uid).job_seen(node)

    def _forget(self, uid: str) -> None:
        memory = self._memories.pop(uid, None)
        if memory is not None:
            memory.chains.drop()


def _overtaken(read: ApiObject[Any, Any], now: ApiObject[Any, Any] | None) -> bool:
    """Whether people want something else since: reading the facts takes minutes where calls hang."""
    return now is None or read.meta.wishes != now.meta.wishes


def pace(nodes: int) -> float:
    """Seconds until a status of so many nodes is written again: each write is sent, stored and read again whole."""
    return min(max(nodes - 100, 0) * PACE_SECONDS, 1.0)
