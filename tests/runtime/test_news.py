"""Which objects are looked at when a node changes, and whose Jobs are known."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.names import LABEL_NODE, LABEL_NODE_OP
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.news import Key, Kind, News
from kairos_operator.runtime.queue import Queue

OURS = "default/op@uid-of-op"


def _node(version: int, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "n1", "uid": "u", "resourceVersion": str(version), "annotations": annotations}
    return {"metadata": metadata, "spec": {}, "status": {}}


def _op(**status: Any) -> dict[str, Any]:
    metadata = {"name": "op", "namespace": "default", "uid": "uid-of-op", "resourceVersion": "5"}
    return {"metadata": metadata, "spec": {"command": ["true"]}, "status": status}


async def _woken(op: dict[str, Any] | None, node: dict[str, Any]) -> set[Key]:
    caches, queue = Caches.empty(), Queue[Key]()
    if op is not None:
        caches.node_ops.observed(op)
    News(caches, queue, lambda uid: None, lambda uid, node: None).follow()
    while len(queue):
        queue.done(await queue.get())
    caches.nodes.observed(node)
    found = set()
    while len(queue):
        found.add(await queue.get())
    return found


async def test_an_operation_that_has_the_node_in_flight_looks_at_it() -> None:
    flying = _op(phase="Running", startedAt="2026-05-04T12:00:00Z", nodeStatuses={"n1": {"step": "Job"}})
    assert await _woken(flying, _node(7)) == {Key(Kind.NODE_OP, "op", "default")}


async def test_an_operation_whose_cordon_was_kept_hears_that_somebody_lifted_it() -> None:
    over = _op(phase="Failed", nodeStatuses={"n1": {"step": "Done", "outcome": "Failed", "keepCordon": True}})
    changed = _node(7, **{"operator.kairos.io/cordoned-by": OURS})
    assert await _woken(over, changed) == {Key(Kind.NODE_OP, "op", "default")}


async def test_a_claim_of_nobody_is_looked_at_as_an_orphan() -> None:
    changed = _node(7, **{"operator.kairos.io/claimed-by": OURS})
    assert await _woken(None, changed) == {Key(Kind.NODE, "n1")}


@pytest.mark.parametrize("upgrade", [False, True])
async def test_an_operation_that_another_of_its_name_stands_for_is_gone(*, upgrade: bool) -> None:
    """It was deleted and made anew while the watch was away: nobody announces the deletion."""
    caches, queue, gone = Caches.empty(), Queue[Key](), list[str]()
    caches.nodes.observed(_node(7, **{"operator.kairos.io/cordoned-by": OURS}))
    old, new = _op(), _op()
    new["metadata"] |= {"uid": "another", "resourceVersion": "9"}
    for one in (old, new):
        one["spec"] = {"image": "os:2"} if upgrade else one["spec"]
    cache = caches.upgrades if upgrade else caches.node_ops
    cache.observed(old)
    News(caches, queue, gone.append, lambda uid, node: None).follow()
    before = len(queue)
    cache.observed(new)
    assert gone == ["uid-of-op"]
    assert len(queue) == before + (not upgrade), "the node whose claim is nobody's now"


async def test_a_node_that_nobody_has_to_do_with_is_no_news() -> None:
    over = _op(phase="Completed", nodeStatuses={"n1": {"step": "Done", "outcome": "Completed"}})
    assert await _woken(over, _node(7)) == set()


def _job(name: str, owner: str) -> dict[str, Any]:
    reference = {"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "op", "uid": owner}
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "6"}
    labels = {LABEL_NODE_OP: "op", LABEL_NODE: name}
    owned = {"labels": labels, "ownerReferences": [{**reference, "controller": True}]}
    return {"metadata": meta | owned, "spec": {}, "status": {}}


async def test_a_job_is_known_from_its_first_sight_on_whoever_looks_later() -> None:
    caches, queue, seen = Caches.empty(), Queue[Key](), list[tuple[str, str]]()
    caches.node_ops.observed(_op())
    caches.jobs.observed(_job("n1", "uid-of-op"))
    News(caches, queue, lambda uid: None, lambda uid, node: seen.append((uid, node))).follow()
    caches.jobs.observed(_job("n2", "uid-of-op"))
    caches.jobs.observed(_job("n3", "of-an-earlier-one"))
    caches.jobs.forget("n2", "default", uid="uid-n2")
    assert seen == [("uid-of-op", "n1"), ("uid-of-op", "n2")]
