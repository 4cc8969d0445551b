"""The children of an operation: its Jobs with their pods, its check pods and its reboot pods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from kairos_operator.api.cluster import JobView, PodView
from kairos_operator.api.names import ROLE_LABELS, Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.resources import JOBS, PODS, Resource
from kairos_operator.api.status import Step
from kairos_operator.core.snapshot import ChildKey, Needs, child
from kairos_operator.runtime.absent import Absent
from kairos_operator.runtime.caches import OWNER, Caches
from kairos_operator.runtime.memory import Memory


@dataclass(slots=True)
class Children:
    """An operation's children as they are known."""

    jobs: dict[str, JobView] = field(default_factory=dict)
    pods: dict[ChildKey, PodView] = field(default_factory=dict)
    job_pods: dict[str, tuple[PodView, ...]] = field(default_factory=dict)
    seen: frozenset[str] = (
        frozenset()
    )  # nodes on which the operation's Job had been seen before it was looked for


@dataclass(frozen=True, slots=True)
class ChildFinder:
    """Finds children in the caches; `read` reads one live into its cache, and tells whether it exists."""

    caches: Caches
    read: Callable[[Resource, str, str], Awaitable[bool]]

    async def of(self, op: NodeOp, found: Needs, memory: Memory) -> Children:
        """What `found` says must be known, read live where it is not in the caches; raises ApiError.

        What is missing is so by an answer that is not older than what is known of the reboot pods: one that has
        rebooted the node tells of a Job that was there by then. What is absent by `memory` is not read again.
        """
        known, absent, seen = self._known(op), memory.absent, frozenset(memory.jobs_seen)
        while missing := _missing(op, found, known, absent):
            there = await self.asked(op, missing)
            before, known = known, self._known(op)
            for key, exists in zip(missing, there, strict=True):
                if exists:
                    self._strangers(op, key, known)
                else:
                    absent.found_none(key)
            reboots = [ChildKey(Role.REBOOT, key.node) for key in missing if key.role is Role.JOB]
            if all(before.pods.get(key) == known.pods.get(key) for key in reboots):
                break
        known.seen = seen
        return known

    async def asked(self, op: NodeOp, keys: Iterable[ChildKey]) -> list[bool]:
        """Read children live, and tell of each whether it exists; raises ApiError."""
        reads = (
            self.read(JOBS if key.role is Role.JOB else PODS, child(op, key), op.meta.namespace)
            for key in keys
        )
        return await asyncio.gather(*reads)

    def _strangers(self, op: NodeOp, key: ChildKey, known: Children) -> None:
        """An object of a child's name that is not owned by the operation is a fact too."""
        name = child(op, key)
        if key.role is Role.JOB and key.node not in known.jobs:
            job = self.caches.jobs.get(name, op.meta.namespace)
            if job is not None:
                known.jobs[key.node] = job
        elif key.role is not Role.JOB and key not in known.pods:
            pod = self.caches.pods.get(name, op.meta.namespace)
            if pod is not None:
                known.pods[key] = pod

    def _known(self, op: NodeOp) -> Children:
        known = Children()
        for job in self.caches.jobs.lookup(OWNER, op.meta.uid):
            known.jobs[job.node] = job
            known.job_pods[job.node] = tuple(self.caches.pods.lookup(OWNER, job.uid))
        for pod in self.caches.pods.lookup(OWNER, op.meta.uid):
            role = next((role for role, label in ROLE_LABELS.items() if label in (pod.labels or ())), None)
            if role is not None:
                known.pods[ChildKey(role, pod.operation_node)] = pod
        return known


def _missing(op: NodeOp, found: Needs, known: Children, absent: Absent) -> list[ChildKey]:
    """What must be known and is not, but for what is absent for sure."""
    return [
        key
        for key in found.children
        if (key.node not in known.jobs if key.role is Role.JOB else key not in known.pods)
        and not (
            key in absent
            # What is to be ended must be known for sure, and a reboot pod may tell of a Job that was made meanwhile.
            and op.status.nodes[key.node].step is not Step.RELEASE
            and ChildKey(Role.REBOOT, key.node) not in known.pods
        )
    ]
