"""A Job that gets no pod is asked why; that there is no answer holds nothing else up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from kairos_operator.api.names import ANNOTATION_NODE, LABEL_NODE, LABEL_NODE_OP, Role
from kairos_operator.api.resources import NODES
from kairos_operator.api.status import Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, child
from kairos_operator.runtime.errors import ApiError, Forbidden, TooManyRequests, Unreachable, from_status
from kairos_operator.runtime.memory import Memory
from tests.runtime.test_observe import World, _node, _op

LONG_AGO = "2020-01-01T00:00:00Z"
DOWN = 'Internal error occurred: failed calling webhook "validate.policy.svc": connection refused'
WEBHOOK_DOWN = from_status(500, {"reason": "InternalError", "message": DOWN})


@dataclass
class Refusing(World):
    """A world whose API server makes no pods."""

    error: ApiError = WEBHOOK_DOWN

    async def create(self, res: Any, body: Any, namespace: Any = None, *, dry_run: bool = False) -> Any:
        assert dry_run
        self.asked.append(f"try {res.plural}")
        raise self.error


def _world(
    error: ApiError = WEBHOOK_DOWN, *, deleted: bool = False, kind: type[Refusing] | None = None
) -> Refusing:
    """A node that is done with its work and to be given back, and one whose Job has no pod."""
    world = (kind or Refusing)(live={(NODES, name): _node(name) for name in "ab"}, error=error)
    for name in "ab":
        world.caches.nodes.observed(_node(name))
    world.caches.nodes.heard = float("inf")
    done = {"phase": "Running", "step": "Release", "outcome": "Completed"}
    works = {"phase": "Running", "step": "Job", "jobUID": "1", "stepStartedAt": LONG_AGO}
    obj = _op(records={"a": done, "b": works})
    if deleted:
        obj["metadata"]["deletionTimestamp"] = LONG_AGO
    world.caches.node_ops.observed(obj)
    op = world.caches.node_ops.get("op", "default")
    assert op is not None
    owner = {"kind": "NodeOp", "name": "op", "uid": "uid-op", "controller": True}
    meta = {
        "name": child(op, ChildKey(Role.JOB, "b")),
        "namespace": "default",
        "uid": "1",
        "resourceVersion": "5",
        "labels": {LABEL_NODE_OP: "op", LABEL_NODE: "b"},
        "annotations": {ANNOTATION_NODE: "b"},
        "ownerReferences": [owner],
    }
    world.caches.jobs.observed({"metadata": meta, "status": {}})
    return world


class Hanging(Refusing):
    """A world whose API server does not say."""

    async def create(self, res: Any, body: Any, namespace: Any = None, *, dry_run: bool = False) -> Any:
        await asyncio.Event().wait()


def test_an_answer_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kairos_operator.runtime.pod_refusals.ANSWER_SECONDS", 0.01)
    hanging = _world(kind=Hanging)
    assert hanging.look().pod_refusals == {"b": ""}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(
            Forbidden(403, "Forbidden", "violates PodSecurity"), "violates PodSecurity", id="policy"
        ),
        pytest.param(WEBHOOK_DOWN, DOWN, id="a webhook that is down"),
        pytest.param(from_status(409, {"message": "quota changed"}), "quota changed", id="a quota"),
        pytest.param(TooManyRequests(429, "TooManyRequests", "slow down"), "", id="too many"),
        pytest.param(Unreachable("no answer"), "", id="no answer"),
    ],
)
def test_whatever_the_answer_the_other_nodes_go_on(error: ApiError, said: str) -> None:
    seen = _world(error).look()
    assert seen.pod_refusals == {"b": said}
    made = plan(seen).status
    assert made is not None
    assert made.nodes["a"].step is Step.DONE
    assert (made.nodes["b"].message or "").endswith(said or "has no pod yet")


def test_an_answer_counts_for_a_while() -> None:
    world, memory = _world(), Memory()
    for _ in range(2):
        assert world.look(memory=memory).pod_refusals == {"b": DOWN}
    assert world.asked.count("try pods") == 1


def test_a_deletion_asks_nothing_and_goes_on() -> None:
    world = _world(deleted=True)
    assert plan(world.look()).chains
    assert "try pods" not in world.asked
