"""When a node is read live although the cache has it: a view that is behind must begin nothing, and prove nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from kairos_operator.core.reboot import SETTLED_SECONDS, Proof
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.freshness import RECENT_SECONDS, Freshness
from kairos_operator.runtime.memory import Memory

NOW = 1000.0


@dataclass
class World:
    """A cache of nodes, a clock that stands still, and who was read."""

    caches: Caches = field(default_factory=Caches.empty)
    memory: Memory = field(default_factory=Memory)
    now: float = NOW
    reads: list[str] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def shows(self, name: str, boot: str, version: int = 1) -> None:
        meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
        obj: dict[str, Any] = {"metadata": meta, "spec": {}, "status": {"nodeInfo": {"bootID": boot}}}
        self.caches.nodes.observed(obj)

    @property
    def freshness(self) -> Freshness:
        async def read(name: str) -> bool:
            self.reads.append(name)
            return True

        return Freshness(self.caches, self, read)  # type: ignore[arg-type]  # of a clock, only monotonic is asked


@pytest.mark.parametrize(
    ("heard", "confirmed", "read"),
    [
        pytest.param(NOW - RECENT_SECONDS, None, [], id="the watch has just spoken"),
        pytest.param(NOW - RECENT_SECONDS - 1, None, ["a", "b"], id="the watch is silent"),
        pytest.param(float("-inf"), None, ["a", "b"], id="there is no watch yet"),
        pytest.param(NOW - 60, NOW - 1, ["b"], id="a call has just told of one"),
        pytest.param(NOW - 60, NOW - 60, ["a", "b"], id="that call is long ago"),
    ],
)
def test_what_is_begun_on_needs_a_recent_view(heard: float, confirmed: float | None, read: list[str]) -> None:
    world = World()
    world.caches.nodes.heard = heard
    if confirmed is not None:
        world.memory.confirmed["a"] = confirmed
    recent = asyncio.run(world.freshness.renew({"b", "a"}, world.memory))
    assert world.reads == read
    assert recent == ({"a", "b"} if read else None), "None: those of all nodes are"
    asyncio.run(world.freshness.renew({"b", "a"}, world.memory))
    assert world.reads == read, "what was read is recent"
    world.now += RECENT_SECONDS + 1
    asyncio.run(world.freshness.renew({"b", "a"}, world.memory))
    assert world.reads == [*read, "a", "b"]


def _back(ended: str, *, shown: bool = False, outlived: bool = False) -> Proof:
    return Proof(ended, changed=True, ready=True, shown=shown, outlived=outlived)


def test_a_reboot_is_proven_without_a_read_where_the_node_was_seen_in_the_boot_that_was_ended() -> None:
    world = World()
    world.shows("a", "boot-1")
    world.freshness.remember(["a"], world.memory)
    world.shows("a", "boot-2", version=2)
    world.freshness.remember(["a"], world.memory)
    for proof in (_back("boot-1"), _back("boot-1", shown=True)):
        assert asyncio.run(world.freshness.after({"a": proof}, world.memory)) == ({"a"}, frozenset())
    assert world.reads == []


def test_a_reboot_is_proven_by_a_read_where_the_node_has_shown_the_boot_that_was_ended() -> None:
    world = World()
    world.shows("a", "boot-2")
    world.freshness.remember(["a"], world.memory)
    back = {"a": _back("boot-3", shown=True)}
    assert asyncio.run(world.freshness.after(back, world.memory)) == ({"a"}, {"a"})
    assert world.reads == ["a"], "boot-2 may be from before boot-3"


def test_a_boot_that_the_node_never_showed_is_proven_to_be_ended_by_its_reboot_pod_alone() -> None:
    """What a live read shows may be from before it, too, until the kubelet of the next boot has said something."""
    world = World()
    world.shows("a", "boot-2")
    world.freshness.remember(["a"], world.memory)
    nothing: frozenset[str] = frozenset()

    def after(*, outlived: bool) -> tuple[frozenset[str], frozenset[str]]:
        return asyncio.run(world.freshness.after({"a": _back("boot-3", outlived=outlived)}, world.memory))

    assert after(outlived=False) == (nothing, nothing)
    world.now += SETTLED_SECONDS
    assert after(outlived=True) == (nothing, nothing)
    world.freshness.remember(["a"], world.memory)
    world.now += SETTLED_SECONDS
    assert (after(outlived=True), world.reads) == (({"a"}, {"a"}), ["a"])
    world.freshness.remember([], world.memory)
    assert after(outlived=True) == (nothing, nothing), "another node of that name"


def test_boots_of_nodes_that_are_no_longer_in_flight_are_forgotten() -> None:
    world = World()
    world.shows("a", "boot-1")
    world.freshness.remember(["a", "gone"], world.memory)
    world.memory.confirmed["a"] = NOW
    assert world.memory.boots == {"a": frozenset({"boot-1"})}
    world.freshness.remember([], world.memory)
    assert (world.memory.boots, world.memory.confirmed) == ({}, {})
