"""Nodes as they are, where a view that is behind would do harm.

A watch can be silent for minutes while its connection is dead, and a cache that is behind shows a node as it was:
before it was registered anew, or before a boot that a reboot pod has ended since. So a node is read live

- before something is begun on it, or it counts as done, where neither its watch nor a call about it has said anything
  lately;
- before it is given up for what was not seen in time, together with its children, whatever the watches say;
- before a reboot counts as proven, unless this process has seen the node in the boot that was ended: then a view with
  another boot can only be a later one, since a cache never goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.memory import Memory

RECENT_SECONDS = 10.0  # a view from a watch that spoke so lately, or from a call so lately, may be relied on


@dataclass(frozen=True, slots=True)
class Freshness:
    """Has nodes read live where their view in the cache may be behind; `read` reads one, and raises ApiError."""

    caches: Caches
    clock: Clock
    read: Callable[[str], Awaitable[bool]]

    async def renew(self, names: Iterable[str], memory: Memory) -> frozenset[str] | None:
        """Let the views of these nodes be recent ones; returns whose are, or None where those of all nodes are."""
        now = self.clock.monotonic()
        if now - self.caches.nodes.heard <= RECENT_SECONDS:
            return None
        old = [name for name in sorted(names) if now - memory.confirmed.get(name, -1e9) > RECENT_SECONDS]
        await asyncio.gather(*(self.read(name) for name in old))
        memory.confirmed.update(dict.fromkeys(old, now))
        # Counted from before these reads: however long they took, they are what there is to rely on.
        return frozenset(name for name, at in memory.confirmed.items() if now - at <= RECENT_SECONDS)

    async def after(self, ended: Mapping[str, str], memory: Memory) -> frozenset[str]:
        """Let the views of these nodes be from after the boots that were ended there; returns which were read."""
        unsure = [name for name, boot in sorted(ended.items()) if boot not in memory.boots.get(name, ())]
        await asyncio.gather(*(self.read(name) for name in unsure))
        return frozenset(unsure)

    def remember(self, names: Iterable[str], memory: Memory) -> None:
        """Remember the boots that these nodes are seen in; other nodes are forgotten, and all where there are none."""
        seen = {name: self.caches.nodes.get(name) for name in names}
        memory.boots = {
            name: memory.boots.get(name, frozenset()) | {node.boot_id} for name, node in seen.items() if node
        }
        if not seen:
            memory.confirmed.clear()
