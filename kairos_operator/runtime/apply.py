"""Carrying out a plan: the status first, then the actions that the stored status allows.

Rules:
- a status is written with the resourceVersion that it was decided on; a conflict means: observe again;
- what the API server answers goes into the caches at once;
- a refused action is remembered with its reason, which the next plan shows to the user, and is not tried again before
  its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kairos_operator.api.objects import ApiObject, Meta, reference
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, Resource
from kairos_operator.api.status import OperationStatus, Step
from kairos_operator.core.actions import (
    Action,
    ClaimNode,
    Create,
    EvictPod,
    Note,
    Plan,
    ReleaseNode,
    SetFinalizer,
)
from kairos_operator.core.snapshot import children_of
from kairos_operator.runtime.chains import Chain, Do
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.errors import ApiError, Conflict, TooManyRequests
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.memory import EVICTION_RETRY_SECONDS, Memory
from kairos_operator.runtime.merge import status_difference

log = logging.getLogger(__name__)

MANY_NODES = 50  # an operation on more of them says of each only how it ended; logs and status say more
_ENDINGS = frozenset({"NodeCompleted", "Skipped"})
_SAID_BY_KUBELET = frozenset(
    {"NodeStarted", "NodeBack"}
)  # or nothing that concerns whoever looks at the node
STATUS_INTERVAL_SECONDS = 1.0  # between writes of a status in which only texts changed

Begin = Callable[[Chain, Do], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """The operation that a plan is for."""

    resource: Resource
    obj: ApiObject[Any, Any]
    memory: Memory

    @property
    def meta(self) -> Meta:
        """The operation's metadata."""
        return self.obj.meta

    def lasting(self) -> Subject:
        """The same for what goes on after this look, without the entries of its nodes: there may be thousands."""
        status = self.obj.status.model_copy(update={"node_statuses": None})
        return replace(self, obj=replace(self.obj, status=status))


@dataclass(frozen=True, slots=True)
class Applier:
    """Does what plans say; `recorder` publishes the Events."""

    deeds: Deeds
    clock: Clock
    recorder: EventRecorder

    async def plan(self, subject: Subject, plan: Plan[Any], begin: Begin | None = None) -> float | None:
        """Carry out a plan; returns after how many seconds to look again, if at all.

        With `begin`, chains that concern one node are handed to it and not waited for. Raises Conflict where the plan
        was made on an old state, and the ApiError of a status write that failed; then nothing else of it was done.
        """
        waits = [] if plan.recheck_after is None else [plan.recheck_after]
        if plan.status is not None:
            left = subject.memory.status_written + STATUS_INTERVAL_SECONDS - self.clock.monotonic()
            if plan.urgent or left <= 0:
                await self._write_status(subject, plan.status, plan.notes)
            else:
                waits.append(left)
        if plan.status is None:
            self._say(subject, subject.obj.status, plan.notes)
        awaited, lasting = [], subject.lasting()
        for chain in plan.chains:
            if begin is not None and chain[0].node:
                begin(chain, partial(self._chain, lasting, chain))
            else:
                awaited.append(self._chain(subject, chain))
        done = await asyncio.gather(*awaited)
        waits.extend(wait for wait in done if wait is not None)
        return min(waits, default=None)

    async def _write_status(self, subject: Subject, status: OperationStatus, notes: tuple[Note, ...]) -> None:
        meta = subject.meta
        patch = status_difference(subject.obj.status, status)
        body = {"metadata": {"resourceVersion": meta.resource_version}, "status": patch}
        written = await self.deeds.client.patch(
            subject.resource, meta.name, body, meta.namespace, kind="merge", subresource="status"
        )
        subject.memory.status_written = self.clock.monotonic()
        if subject.resource is NODE_OPS:
            for name, step in _entered(subject.obj.status, status):
                for key in children_of(name, step):
                    subject.memory.absent.found_none(key)
        self.deeds.observed(subject.resource, written)
        self._say(subject, status, notes)

    def _say(self, subject: Subject, status: OperationStatus, notes: tuple[Note, ...]) -> None:
        """Log what happened, and publish it on the operation, on the upgrade that it is for, and on the node."""
        meta = subject.meta
        about = [reference(subject.resource, meta)]
        if meta.owner is not None and meta.owner.kind == NODE_OP_UPGRADES.kind:
            owner = Meta(meta.owner.name, meta.namespace, meta.owner.uid)
            about.append(reference(NODE_OP_UPGRADES, owner))
        for note in notes:
            fields = {"operation": f"{meta.namespace}/{meta.name}", "reason": note.reason}
            if note.node:
                fields["node"] = note.node
            log.log(
                logging.WARNING if note.type == "Warning" else logging.INFO, "%s", note.text, extra=fields
            )
            self._publish(about, note, many=_count(status) > MANY_NODES)

    def _publish(self, about: list[dict[str, str]], note: Note, *, many: bool) -> None:
        """Whoever looks at a node's part looks at the node, or at the operation that the user made. Where there are
        many nodes, each Event is a thousand: then only how a node ended is said, on the node, and all that is wrong.
        """
        on_node = self._node_reference(note.node) if note.node else None
        routine = note.type == "Normal" and on_node is not None
        if routine and many and note.reason not in _ENDINGS:
            return
        text = note.text if note.node in note.text else f"{note.node}: {note.text}"
        if not (routine and many):
            for regarding in about if on_node is None else about[-1:]:
                self.recorder.publish(regarding, note.type, note.reason, text, related=on_node)
        if on_node is not None and not (routine and note.reason in _SAID_BY_KUBELET):
            self.recorder.publish(on_node, note.type, note.reason, note.text, related=about[-1])

    def _node_reference(self, name: str) -> Mapping[str, str] | None:
        node = self.deeds.caches.nodes.get(name)
        if node is None:
            return None
        return {"apiVersion": NODES.api_version, "kind": NODES.kind, "name": name, "uid": node.uid}

    async def _chain(self, subject: Subject, chain: Chain) -> float | None:
        """Do the actions in order until one is refused; returns when that may be tried again."""
        memory = subject.memory
        for action in chain:
            now = self.clock.monotonic()
            if self._overtaken(subject, action):
                return 0.0
            if not memory.due(action.subject, now):
                return memory.refusals[action.subject].not_before - now
            try:
                await self._do(subject, action)
            except Conflict as conflict:
                return await self._look_again(subject, action, conflict)
            except ApiError as error:
                return self._refused(subject, action, error)
            had_refusal = action.subject in memory.refusals
            memory.forget(action.subject)
            if had_refusal:
                return 0.0
        return None

    def _overtaken(self, subject: Subject, action: Action) -> bool:
        """Whether what is known since the decision forbids it: each call before it in its chain may have hung."""
        if not isinstance(action, Create | ClaimNode | EvictPod):
            return False
        store, meta = self.deeds.caches.of(subject.resource), subject.meta
        assert store is not None
        now = store.get(meta.name, meta.namespace)
        seen = (
            isinstance(action, Create) and action.resource is JOBS and action.node in subject.memory.jobs_seen
        )
        return seen or now is None or now.meta.uid != meta.uid or now.meta.deleting_since is not None

    def _refused(self, subject: Subject, action: Action, error: ApiError) -> float:
        evicting = isinstance(action, EvictPod) and isinstance(error, TooManyRequests)
        at_least = max(EVICTION_RETRY_SECONDS if evicting else 0.0, error.retry_after or 0.0)
        words = "; ".join(cause for cause in error.causes if cause) if evicting else ""
        known = subject.memory.refusals.get(action.subject)
        message = words or error.message
        subject.memory.refuse(action.subject, message, self.clock.monotonic(), at_least)
        if known is None or known.message != message:
            fields = {"operation": f"{subject.meta.namespace}/{subject.meta.name}", "reason": error.reason}
            log.info("could not %s: %s", action.subject, message, extra=fields)
            return 0.0  # so that the next plan says so
        return subject.memory.refusals[action.subject].not_before - self.clock.monotonic()

    async def _look_again(self, subject: Subject, action: Action, conflict: Conflict) -> float:
        """Decided on an old state: the watch may be behind for long, so the present one is read live. A conflict about
        anything else, such as a quota that others write too, is a refusal like any.
        """
        client, meta = self.deeds.client, subject.meta
        try:
            if isinstance(action, ClaimNode | ReleaseNode):
                self.deeds.observed(NODES, await client.get(NODES, action.node))
            elif isinstance(action, SetFinalizer):
                found = await client.get(subject.resource, meta.name, meta.namespace)
                self.deeds.observed(subject.resource, found)
            else:
                return self._refused(subject, action, conflict)
        except ApiError as error:
            return self._refused(subject, action, error)
        return 0.0

    async def _do(self, subject: Subject, action: Action) -> None:
        began = self.clock.monotonic()
        if isinstance(action, Create):
            subject.memory.absent.begin(action.node)
        note = await self.deeds.do(subject.resource, subject.meta, action)
        if isinstance(action, ClaimNode):
            subject.memory.confirmed[action.node] = began
        if isinstance(action, ReleaseNode):
            subject.memory.released.add(action.node)
        if note is not None:
            self._say(subject, subject.obj.status, (note,))


def _count(status: OperationStatus) -> int:
    return status.summary.total if status.summary else len(status.nodes)


def _entered(old: OperationStatus, new: OperationStatus) -> Iterator[tuple[str, Step]]:
    """The nodes that enter a step, and which."""
    for name, record in new.nodes.items():
        known = old.nodes.get(name)
        if record is not known and (known is None or record.step is not known.step):
            yield name, record.step
