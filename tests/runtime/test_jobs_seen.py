"""A Job that this process has seen is not made anew, also where no look came to store it before it was deleted."""

from __future__ import annotations

import pytest

from kairos_operator.api.names import Role
from kairos_operator.api.resources import JOBS, NODES
from kairos_operator.api.status import Outcome
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, child
from kairos_operator.runtime.memory import Memory
from tests.runtime.test_observe import World, _child_of_op, _node, _op

ENTERED = {"a": {"phase": "Running", "step": "Job", "nodeUID": "uid-a", "bootID": "boot-1"}}


def _world() -> tuple[World, str]:
    world = World(live={(NODES, "a"): _node("a")})
    world.caches.nodes.heard = float("inf")
    world.caches.nodes.observed(_node("a"))
    world.caches.node_ops.observed(_op(records=ENTERED))
    op = world.caches.node_ops.get("op", "default")
    assert op is not None
    return world, child(op, ChildKey(Role.JOB, "a"))


@pytest.mark.parametrize("seen", [False, True])
def test_one_that_was_seen_and_is_gone_fails_its_node(*, seen: bool) -> None:
    (world, name), memory = _world(), Memory()
    memory.absent.found_none(ChildKey(Role.JOB, "a"))
    if seen:
        memory.job_seen("a")
    looked = world.look(memory=memory)
    assert (f"get jobs {name}" in world.asked) is seen, "it is read live before it counts as gone"
    record = (plan(looked).status or looked.op.status).nodes["a"]
    assert (record.outcome is Outcome.FAILED) is seen


def test_one_that_shows_up_while_a_look_is_under_way_is_not_gone() -> None:
    (world, name), memory = _world(), Memory()
    read = world.get

    async def late(res, name, namespace=None):  # type: ignore[no-untyped-def]
        if res == JOBS:
            memory.job_seen("a")  # its watch tells right after this answer was made
        return await read(res, name, namespace)

    world.get = late  # type: ignore[method-assign]
    looked = world.look(memory=memory)
    assert f"get jobs {name}" in world.asked
    assert (plan(looked).status or looked.op.status).nodes["a"].outcome is None
    world.caches.jobs.observed(_child_of_op(name, "j", 3))
    assert world.look(memory=memory).jobs["a"].uid == "j"


def test_a_node_that_is_no_longer_in_flight_is_forgotten() -> None:
    memory = Memory()
    for node in "ab":
        memory.job_seen(node)
    memory.keep(frozenset("b"))
    assert memory.jobs_seen == {"b"}
