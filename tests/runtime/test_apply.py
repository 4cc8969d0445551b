"""What applying a plan makes of refusals and conflicts, and what is stored before anything is done."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest

from kairos_operator.api.names import Claim, Role
from kairos_operator.api.objects import parse_node_op
from kairos_operator.api.resources import JOBS, NODE_OPS, Resource
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Phase
from kairos_operator.core.actions import Action, ClaimNode, Create, EvictPod, Note, Plan
from kairos_operator.core.snapshot import ChildKey
from kairos_operator.runtime.apply import MANY_NODES, Applier, Subject
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.chains import Do
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.errors import ApiError, Conflict, Forbidden, TooManyRequests, Unreachable
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.memory import Memory

CLAIM = ClaimNode("n1", "3", Claim("default", "op", "u"), cordon=True)
CREATE = Create(JOBS, "job", lambda: {"metadata": {"name": "job"}}, "n1")
EVICT = EvictPod("n1", "default", "web", "uid-of-web", None)
OP = {
    "metadata": {"name": "op", "namespace": "default", "uid": "u", "resourceVersion": "9"},
    "spec": {"command": ["true"]},
}


class _Client:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, *errors: ApiError | None) -> None:
        self.errors = list(errors)
        self.calls: list[str] = []

    def _answer(self, what: str, name: str) -> dict[str, Any]:
        self.calls.append(f"{what} {name}")
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return {"metadata": {"name": name, "uid": "u", "resourceVersion": "10"}, "spec": {}, "status": {}}

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        return self._answer("get", name)

    async def create(self, res: Resource, body: Any, namespace: str | None = None) -> dict[str, Any]:
        return self._answer("create", body["metadata"]["name"])

    async def patch(self, res: Resource, name: str, body: Any, *rest: Any, **options: Any) -> dict[str, Any]:
        self.body = body
        return self._answer("patch", f"{name} {options.get('subresource', '')}".strip())

    async def evict(self, name: str, namespace: str, *, uid: str, grace_period_seconds: int | None) -> None:
        self._answer("evict", name)


class _Clock:
    def monotonic(self) -> float:
        return 100.0


class _Recorder:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def publish(self, regarding: Any, kind: str, reason: str, note: str, *, related: Any = None) -> None:
        self.said.append((regarding["kind"], reason))


def _caches() -> Caches:
    caches = Caches.empty()
    caches.node_ops.observed(OP)
    return caches


def _subject() -> Subject:
    return Subject(NODE_OPS, parse_node_op(OP), Memory())


async def _apply(client: _Client, subject: Subject, *chains: tuple[Action, ...], **plan: Any) -> float | None:
    deeds = Deeds(cast("Client", client), _caches())
    applier = Applier(deeds, cast("Clock", _Clock()), cast("EventRecorder", _Recorder()))
    return await applier.plan(subject, Plan(chains=chains, **plan))


def _budget(words: str) -> TooManyRequests:
    return TooManyRequests(429, "TooManyRequests", "Cannot evict pod", None, {"causes": [{"message": words}]})


async def test_a_claim_on_an_old_state_reads_the_present_one_and_is_looked_at_again_at_once() -> None:
    client, subject = _Client(Conflict(409, "Conflict", "changed")), _subject()
    assert await _apply(client, subject, (CLAIM,)) == 0.0
    assert client.calls == ["patch n1", "get n1"]
    assert subject.memory.messages() == {}


async def test_a_conflict_about_something_else_is_a_refusal_and_not_tried_again_at_once() -> None:
    """A resource quota answers 409 Conflict while others write it too."""
    client, subject = _Client(Conflict(409, "Conflict", "quota changed")), _subject()
    await _apply(client, subject, (CREATE,))
    assert subject.memory.messages() == {CREATE.subject: "quota changed"}
    wait = await _apply(client, subject, (CREATE,))
    assert wait == 1.0
    assert client.calls == ["create job"]


@pytest.mark.parametrize(("action", "absent"), [(CLAIM, True), (CREATE, False)])
async def test_a_child_that_a_call_may_have_made_is_not_taken_for_absent(
    action: Action, absent: bool
) -> None:
    client, subject = _Client(Unreachable("no answer")), _subject()
    subject.memory.absent.found_none(ChildKey(Role.JOB, "n1"))
    await _apply(client, subject, (action,))
    assert (ChildKey(Role.JOB, "n1") in subject.memory.absent) is absent


@pytest.mark.parametrize("action", [CLAIM, CREATE])
async def test_a_chain_ends_at_its_first_refusal_and_the_others_go_on(action: Action) -> None:
    client, subject = _Client(Forbidden(403, "Forbidden", "no")), _subject()
    await _apply(client, subject, (action, EVICT), (EVICT,))
    assert client.calls.count("evict web") == 1


async def test_a_refused_eviction_is_remembered_with_its_budget_and_waits_five_seconds() -> None:
    client, subject = _Client(_budget("the budget web needs 2")), _subject()
    assert await _apply(client, subject, (EVICT,)) == 0.0
    assert subject.memory.messages() == {EVICT.subject: "the budget web needs 2"}
    assert await _apply(client, subject, (EVICT,)) == 5.0


async def test_a_status_is_written_on_the_state_that_was_decided_on_and_before_anything_is_done() -> None:
    client, subject = _Client(), _subject()
    await _apply(client, subject, (EVICT,), status=NodeOpStatus(phase=Phase.RUNNING), urgent=True)
    assert client.calls == ["patch op status", "evict web"]
    assert client.body == {"metadata": {"resourceVersion": "9"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize("error", [Conflict(409, "Conflict", "changed"), Unreachable("no answer")])
async def test_nothing_is_done_where_the_status_was_not_stored(error: ApiError) -> None:
    client, subject = _Client(error), _subject()
    with pytest.raises(type(error)):
        await _apply(client, subject, (EVICT,), status=NodeOpStatus(phase=Phase.RUNNING), urgent=True)
    assert client.calls == ["patch op status"]


async def test_texts_alone_wait_for_the_next_write() -> None:
    client, subject = _Client(), _subject()
    subject.memory.status_written = 99.5
    assert await _apply(client, subject, status=NodeOpStatus(message="another")) == 0.5
    assert client.calls == []


_NOTES = (
    Note("NodeStarted", "Started on n1", "n1"),
    Note("Rebooting", "n1 reboots", "n1"),
    Note("JobFailed", "no space", "n1", "Warning"),
    Note("NodeCompleted", "n1: done", "n1"),
    Note("Completed", "All nodes are done"),
)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        (
            1,
            [
                ("NodeOp", "NodeStarted"),
                ("NodeOp", "Rebooting"),
                ("Node", "Rebooting"),
                ("NodeOp", "JobFailed"),
                ("Node", "JobFailed"),
                ("NodeOp", "NodeCompleted"),
                ("Node", "NodeCompleted"),
                ("NodeOp", "Completed"),
            ],
        ),
        (
            MANY_NODES + 1,
            [
                ("NodeOp", "JobFailed"),
                ("Node", "JobFailed"),
                ("Node", "NodeCompleted"),
                ("NodeOp", "Completed"),
            ],
        ),
    ],
)
async def test_an_operation_on_many_nodes_publishes_only_how_each_ended_and_all_that_is_wrong(
    nodes: int, told: list[tuple[str, str]]
) -> None:
    caches, recorder = _caches(), _Recorder()
    caches.nodes.observed({"metadata": {"name": "n1", "uid": "u1", "resourceVersion": "1"}})
    applier = Applier(
        Deeds(cast("Client", _Client(None)), caches), cast("Clock", _Clock()), cast("EventRecorder", recorder)
    )
    status = NodeOpStatus(node_statuses={f"n{number}": NodeStatus() for number in range(nodes)})
    await applier.plan(_subject(), Plan(status=status, urgent=True, notes=_NOTES))
    assert recorder.said == told


@pytest.mark.parametrize(
    ("nodes", "told"), [(1, [("NodeOp", "Cordoned"), ("Node", "Cordoned")]), (MANY_NODES + 1, [])]
)
async def test_what_goes_on_after_a_look_keeps_no_entries_and_knows_how_many_there_are(
    nodes: int, told: list[tuple[str, str]]
) -> None:
    caches, recorder = _caches(), _Recorder()
    caches.nodes.observed({"metadata": {"name": "n1", "uid": "u1", "resourceVersion": "1"}})
    applier = Applier(
        Deeds(cast("Client", _Client()), caches), cast("Clock", _Clock()), cast("EventRecorder", recorder)
    )
    entries = {f"n{number}": {"phase": "Pending", "step": "Waiting"} for number in range(nodes)}
    status = {"nodeStatuses": entries, "summary": {"total": nodes}}
    subject = Subject(NODE_OPS, parse_node_op({**OP, "status": status}), Memory())
    begun: list[Do] = []
    await applier.plan(subject, Plan(chains=((CLAIM,),)), lambda _, do: begun.append(do))
    (do,) = begun
    kept = cast("partial[Any]", do).args[0]
    assert kept.obj.status.nodes == {}
    await do()
    assert recorder.said == told
