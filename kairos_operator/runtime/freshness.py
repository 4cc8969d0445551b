"""Nodes as they are, where a view that is behind would do harm.

A watch can be silent for minutes while its connection is dead, and a cache that is behind shows a node as it was:
before it was registered anew, or before a boot that a reboot pod has ended since. So a node is read live

- before something is begun on it, or it counts as done, where neither its watch nor a call about it has said anything
  lately;
- before it is given up for what was not seen in time, together with its children, whatever the watches say;
- before a reboot counts as proven, unless this process has seen the node in the boot that was ended: then a view with
  another boot can only be a later one, since a cache never goes back. Where nothing says that the Node has ever shown
  that boot, a live read may show an earlier one as well: its reboot pod must have ended well, and some time ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from kairos_operator.core.reboot import SETTLED_SECONDS, Proof
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

    async def after(self, back: Mapping[str, Proof], memory: Memory) -> tuple[frozenset[str], frozenset[str]]:
        """Let the views of these nodes be from after the boots that were ended there; returns of which they are, and
        which were read.
        """
        now = self.clock.monotonic()
        for name, proof in back.items():
            if proof.outlived:
                memory.outlived.setdefault(name, now)
        seen = frozenset(name for name, proof in back.items() if proof.ended in memory.boots.get(name, ()))
        settled = {name for name, since in memory.outlived.items() if now - since >= SETTLED_SECONDS}
        read = frozenset(name for name, proof in back.items() if proof.shown or name in settled) - seen
        await asyncio.gather(*(self.read(name) for name in sorted(read)))
        return seen | read, read

    def remember(self, names: Iterable[str], memory: Memory) -> None:
        """Remember the boots that these nodes are seen in; other nodes are forgotten, and all where there are none."""
        seen = {name: self.caches.nodes.get(name) for name in names}
        memory.boots = {
            name: memory.boots.get(name, frozenset()) | {node.boot_id} for name, node in seen.items() if node
        }
        memory.outlived = {name: since for name, since in memory.outlived.items() if name in seen}
        if not seen:
            memory.confirmed.clear()
