"""A NodeOp whose upgrade is paused or deleted starts nothing, whether or not that has reached the NodeOp itself."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODES
from kairos_operator.core.nodeop import plan
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.memory import Memory
from kairos_operator.runtime.news import Key, Kind, News
from kairos_operator.runtime.queue import Queue
from tests.runtime.test_observe import World, _node, _op

PAUSED = {"operator.kairos.io/paused": "true"}
WAITS = {"a": {"phase": "Pending", "step": "Waiting"}}
WORKS = {"a": {"phase": "Running", "step": "Job", "nodeUID": "uid-a", "jobUID": "j"}}


def _upgrade(version: int = 1, uid: str = "uid-up", **annotations: str) -> dict[str, Any]:
    meta = {"name": "op", "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**meta, "annotations": annotations}, "spec": {"image": "os:2"}}


def _deleting(version: int) -> dict[str, Any]:
    """As `kubectl delete --cascade=foreground` leaves it until its NodeOp is gone."""
    found = _upgrade(version)
    found["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]}
    return found


def _world(cached: dict[str, Any] | None, live: dict[str, Any] | None, records: dict[str, Any]) -> World:
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.heard = float("inf")
    world.caches.nodes.observed(_node("a"))
    op = _op(records=records)
    owner = {"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOpUpgrade", "controller": True}
    op["metadata"]["ownerReferences"] = [{**owner, "name": "op", "uid": "uid-up"}]
    world.caches.node_ops.observed(op)
    if cached is not None:
        world.caches.upgrades.observed(cached)
    if live is not None:
        world.live[NODE_OP_UPGRADES, "op"] = live
    return world


@pytest.mark.parametrize(
    ("cached", "live", "starts"),
    [
        pytest.param(_upgrade(), _upgrade(7, **PAUSED), False, id="paused while its watch was silent"),
        pytest.param(_upgrade(5, **PAUSED), _upgrade(7), True, id="resumed while its watch was silent"),
        pytest.param(None, _upgrade(7, **PAUSED), False, id="not in the cache"),
        pytest.param(None, _upgrade(7), True, id="not in the cache, and goes on"),
        pytest.param(_upgrade(5), None, False, id="gone while its watch was silent"),
        pytest.param(None, None, False, id="gone"),
        pytest.param(_upgrade(), _upgrade(7, uid="another"), False, id="another of its name"),
        pytest.param(_upgrade(), _deleting(7), False, id="about to go, once its NodeOp has"),
    ],
)
def test_nobody_is_started_under_an_upgrade_that_is_paused_or_gone(
    cached: Any, live: Any, *, starts: bool
) -> None:
    world = _world(cached, live, WAITS)
    seen = world.look()
    assert f"get {NODE_OP_UPGRADES.plural} op" in world.asked
    status = plan(seen).status
    assert any(one.in_flight for one in (status or seen.op.status).nodes.values()) is starts


def test_what_its_watch_has_just_said_is_relied_on() -> None:
    world = _world(_upgrade(5, **PAUSED), _upgrade(7), WAITS)
    world.caches.upgrades.heard = float("inf")
    assert (world.look().op.meta.paused, world.asked) == (True, [])


def test_it_is_read_once_in_a_while_and_only_where_somebody_is_to_be_started() -> None:
    world, memory = _world(_upgrade(), _upgrade(), WAITS), Memory()
    for _ in range(2):
        world.look(memory=memory)
    assert world.asked == [f"get {NODE_OP_UPGRADES.plural} op"]
    busy = _world(_upgrade(5, **PAUSED), _upgrade(5, **PAUSED), WORKS)
    assert busy.look().op.meta.paused
    assert f"get {NODE_OP_UPGRADES.plural} op" not in busy.asked


def test_one_that_is_not_in_the_cache_is_read_however_lately_its_watch_spoke() -> None:
    world = _world(None, _upgrade(), WAITS)
    world.caches.upgrades.heard = float("inf")
    assert not world.look().op.meta.disowned
    assert world.asked == [f"get {NODE_OP_UPGRADES.plural} op"]


async def test_its_end_is_news_for_the_nodeop_too() -> None:
    caches, queue = Caches.empty(), Queue[Key]()
    caches.upgrades.observed(_upgrade(1, **PAUSED))
    News(caches, queue, lambda uid: None, lambda uid, node: None).follow()
    while len(queue):
        queue.done(await queue.get())
    caches.upgrades.observed(_upgrade(2))
    woken = {await queue.get() for _ in range(len(queue))}
    assert woken == {Key(Kind.UPGRADE, "op", "default"), Key(Kind.NODE_OP, "op", "default")}
