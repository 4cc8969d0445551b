"""From caches and live reads to one frozen snapshot.

Rules:
- what is in a cache is used as it is; what should be known and is not there is read live, so that "missing" is a fact
  by the time that a decision sees it;
- what was read live goes into the caches;
- a read that fails raises its ApiError: nothing is decided on half of the facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kairos_operator.api.cluster import NodeView, PodView, parse_pod
from kairos_operator.api.names import Claim
from kairos_operator.api.objects import NodeOp, NodeOpUpgrade, Owner
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, NODES, PODS, Resource
from kairos_operator.api.status import Step
from kairos_operator.core.reboot import said_to_be_back
from kairos_operator.core.snapshot import (
    Images,
    Mark,
    Needs,
    Snapshot,
    Standing,
    needs,
    works_on,
)
from kairos_operator.core.upgrade import UpgradeSnapshot
from kairos_operator.runtime.caches import FLYING, Caches
from kairos_operator.runtime.children import ChildFinder
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import NotFound
from kairos_operator.runtime.freshness import RECENT_SECONDS, Freshness
from kairos_operator.runtime.memory import Memory
from kairos_operator.runtime.pod_refusals import PodRefusals


@dataclass(frozen=True, slots=True)
class Observer:
    """Makes snapshots; `operator_pod` is `<namespace>/<name>` of the pod that it runs in, if any."""

    client: Client
    caches: Caches
    clock: Clock
    images: Images
    operator_pod: str = ""

    async def node_op(self, op: NodeOp, memory: Memory) -> Snapshot:
        """The facts about one NodeOp; raises ApiError."""
        busy = memory.chains.look()
        op, found = await self._due(op, busy, memory)
        listed = await self._listed() if found.listing else None
        freshness = Freshness(self.caches, self.clock, lambda name: self._read(NODES, name))
        recent = await freshness.renew(found.recent | (memory.doubts.behind & found.nodes), memory)
        asked = await self._asked(op, found, memory.doubts.overdue & found.nodes)
        gone = await self._missing_nodes(found.nodes)
        memory.keep(in_flight := found.nodes | busy)
        children = await ChildFinder(self.caches, self._read).of(op, found, memory)
        drains, standings, released = await asyncio.gather(
            self._drains(found.drains), self._standings(found.standings), self._released(op, found, memory)
        )
        snapshot = Snapshot(
            op=op,
            now=(now := self.clock.now()),
            images=self.images,
            nodes=self._nodes(),
            operator_pod=self.operator_pod,
            busy=busy,
            gone=gone,
            listed=listed,
            recent=recent if listed is None else None,
            asked=asked,
            jobs=children.jobs,
            pods=children.pods,
            job_pods=children.job_pods,
            node_pods=drains,
            standings=standings,
            holders=self._holders(op, found.nodes | found.recent if listed is None else listed),
            released=released,
            elapsed=memory.stopwatch.read(in_flight, op.status.nodes, now, self.clock.monotonic()),
            deleting_for=memory.deleting_for(self.clock.monotonic(), deleting=bool(op.meta.deleting_since)),
            refusals=memory.messages(),
            jobs_seen=children.seen,
        )
        return await self._completed(snapshot, freshness, in_flight, memory)

    async def _due(self, op: NodeOp, busy: frozenset[str], memory: Memory) -> tuple[NodeOp, Needs]:
        """What must be known about the operation, which is paused where its upgrade is. That is handed on to it, as
        the upgrade's deletion is, but a node may be due before it has been, as after a restart.
        """
        found = needs(op, self._nodes(), busy)
        if op.meta.owner is None or op.meta.owner.kind != NODE_OP_UPGRADES.kind:
            return op, found
        upgrade = await self._upgrade_of(op, op.meta.owner, memory, surely=found.starts)
        paused = op.meta.paused or (upgrade is not None and upgrade.meta.paused)
        disowned = upgrade is None or upgrade.meta.deleting_since is not None
        if paused == op.meta.paused and not disowned:
            return op, found
        op = replace(op, meta=replace(op.meta, paused=paused, disowned=disowned))
        return op, needs(op, self._nodes(), busy)

    async def _upgrade_of(
        self, op: NodeOp, owner: Owner, memory: Memory, *, surely: bool
    ) -> NodeOpUpgrade | None:
        """The operation's upgrade, if it is still there; `surely` not by an old view."""
        now = self.clock.monotonic()
        known = self.caches.upgrades.get(owner.name, op.meta.namespace)
        missing = known is None or known.meta.uid != owner.uid
        silent = now - max(self.caches.upgrades.heard, memory.upgrade_read) > RECENT_SECONDS
        if surely and (missing or silent):
            await self._read(NODE_OP_UPGRADES, owner.name, op.meta.namespace)
            memory.upgrade_read = now
            known = self.caches.upgrades.get(owner.name, op.meta.namespace)
        return known if known is not None and known.meta.uid == owner.uid else None

    async def _asked(self, op: NodeOp, found: Needs, nodes: frozenset[str]) -> frozenset[str]:
        """Read these nodes and what the operation has there live, whatever the caches have; returns the nodes."""
        keys = [key for key in found.children if key.node in nodes]
        await asyncio.gather(*(self._read(NODES, name) for name in sorted(nodes)))
        await ChildFinder(self.caches, self._read).asked(op, keys)
        return nodes

    async def _completed(
        self, snapshot: Snapshot, freshness: Freshness, in_flight: frozenset[str], memory: Memory
    ) -> Snapshot:
        """The same, with what can be asked only once the rest is known."""
        snapshot = await self._proven(snapshot, freshness, memory)
        freshness.remember(in_flight, memory)
        refusals = await PodRefusals(self.client, self.clock).of(snapshot, memory)
        return replace(snapshot, pod_refusals=refusals)

    async def _proven(self, snapshot: Snapshot, freshness: Freshness, memory: Memory) -> Snapshot:
        """The same, with views of the nodes that seem to be back from after the boots that were ended there."""
        back = said_to_be_back(snapshot)
        if not back:
            return snapshot
        seen_after, read = await freshness.after(back, memory)
        recent = None if snapshot.recent is None else snapshot.recent | read
        return replace(snapshot, nodes=self._nodes(), recent=recent, seen_after=seen_after)

    def _holders(self, op: NodeOp, names: Iterable[str]) -> Mapping[str, str]:
        """Who else works on nodes that this look may come to claim, by what the other operations' statuses say."""
        return {
            name: f"{other.meta.namespace}/{other.meta.name}"
            for name in names
            for other in self.caches.node_ops.lookup(FLYING, name)
            if other.meta.uid != op.meta.uid and works_on(other, name)
        }

    async def upgrade(self, upgrade: NodeOpUpgrade, memory: Memory) -> UpgradeSnapshot:
        """The facts about one NodeOpUpgrade; raises ApiError."""
        name, namespace = upgrade.meta.name, upgrade.meta.namespace
        if self.caches.node_ops.get(name, namespace) is None:
            await self._read(NODE_OPS, name, namespace)
        node_op = self.caches.node_ops.get(name, namespace)
        return UpgradeSnapshot(upgrade, node_op, self.clock.now(), memory.messages())

    async def standing(self, claim: Claim, node: str) -> Standing:
        """Whether the operation that a claim names still has something to do with the node; raises ApiError."""
        op = self._operation(claim)
        if op is None:
            await self._read(NODE_OPS, claim.name, claim.namespace)
            op = self._operation(claim)
        if op is None:
            return Standing.GONE
        record = op.status.nodes.get(node)
        if op.status.phase and op.status.phase.final:
            return Standing.DONE
        return Standing.DONE if record is not None and record.step is Step.DONE else Standing.HOLDS

    def _operation(self, claim: Claim) -> NodeOp | None:
        op = self.caches.node_ops.get(claim.name, claim.namespace)
        return op if op is not None and op.meta.uid == claim.uid else None

    def _nodes(self) -> dict[str, NodeView]:
        return {node.name: node for node in self.caches.nodes.values()}

    async def _listed(self) -> frozenset[str]:
        """The names of all nodes, read live; what the list shows of them is in the cache afterwards."""
        listing = await self.client.list(NODES)
        for item in listing.items:
            self.caches.nodes.observed(item)
        return frozenset(item["metadata"]["name"] for item in listing.items)

    async def _missing_nodes(self, names: Iterable[str]) -> frozenset[str]:
        missing = [name for name in sorted(names) if self.caches.nodes.get(name) is None]
        there = await asyncio.gather(*(self._read(NODES, name) for name in missing))
        return frozenset(name for name, found in zip(missing, there, strict=True) if not found)

    async def _drains(self, names: Iterable[str]) -> Mapping[str, tuple[PodView, ...]]:
        async def on(node: str) -> tuple[str, tuple[PodView, ...]]:
            listing = await self.client.list(PODS, field_selector=f"spec.nodeName={node}")
            return node, tuple(parse_pod(item) for item in listing.items)

        return dict(await asyncio.gather(*(on(name) for name in names)))

    async def _standings(self, marks: Iterable[Mark]) -> Mapping[Mark, Standing]:
        async def of(mark: Mark, claim: Claim) -> tuple[Mark, Standing]:
            return mark, await self.standing(claim, mark.node)

        known = ((mark, Claim.parse(mark.claim)) for mark in marks)
        return dict(await asyncio.gather(*(of(mark, claim) for mark, claim in known if claim is not None)))

    async def _released(self, op: NodeOp, found: Needs, memory: Memory) -> frozenset[str]:
        """Nodes that surely carry no claim of the operation: we took it off, or a live read shows none."""
        unsure = [name for name in found.releases if name not in memory.released]
        await asyncio.gather(*(self._read(NODES, name) for name in unsure))
        claim = str(op.meta.claim)
        for name in unsure:
            node = self.caches.nodes.get(name)
            if node is None or claim not in (node.claimed_by, node.cordoned_by):
                memory.released.add(name)
        return frozenset(memory.released)

    async def _read(self, resource: Resource, name: str, namespace: str = "") -> bool:
        """Read an object live into its cache; False where it does not exist."""
        store = self.caches.of(resource)
        assert store is not None
        known = store.get(name, namespace)
        try:
            store.observed(await self.client.get(resource, name, namespace or None))
        except NotFound:
            seen = store.get(name, namespace)
            if seen is not None and seen is not known:
                return True  # seen while the answer was on its way, which tells of a moment before that
            store.missing(name, namespace)
            return False
        return True
