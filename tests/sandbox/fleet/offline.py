"""The fleet on the in-memory store: no HTTP, no tasks, no time but the one it is told. For simulations.

    fleet = StoreFleet(store, nodes, clock)
    fleet.register()
    while fleet.step(): ...      # until nothing is due now
    fleet.due()                  # when the clock is to be set forward to

Rule: the operator's programs run as models of themselves; nothing is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from kairos_operator.api.resources import JOBS, NODES, PODS, Resource
from tests.sandbox.fleet.disk import ImageRelease, MemoryDisk
from tests.sandbox.fleet.effects import (
    AnnotatePod,
    CreatePod,
    DeletePod,
    DropFinalizer,
    Effect,
    JobEffect,
    NodeEffect,
    PatchJobStatus,
    PatchNodeStatus,
    PatchPodStatus,
)
from tests.sandbox.fleet.jobs import JobController
from tests.sandbox.fleet.journal import Journal
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.programs import modelled_programs
from tests.sandbox.fleet.spec import NodeSpec, release_of_image
from tests.sandbox.fleet.view import NodeView
from tests.sandbox.store.errors import StatusError

GONE, CONFLICT, EXPIRED = 404, 409, 410


class StoreEvent(Protocol):
    """One event of a watch."""

    @property
    def type(self) -> str: ...
    @property
    def object(self) -> Mapping[str, Any]: ...


class StoreWatch(Protocol):
    """A watch that is asked instead of telling."""

    def poll(self) -> Iterable[StoreEvent]: ...


class StoreLike(Protocol):
    """What the fleet needs of the store, or of something that wraps one and makes faults."""

    def create(self, res: Resource, body: Any, namespace: str | None = None) -> Any: ...
    def delete(
        self,
        res: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        grace_period_seconds: int | None = None,
    ) -> Any: ...
    def patch(
        self, res: Resource, name: str, body: Any, namespace: str | None = None, *, subresource: str = ""
    ) -> Any: ...
    def watch(self, res: Resource) -> StoreWatch: ...


class _Feed:
    """One resource's objects by UID, kept over an expired watch."""

    def __init__(self, store: StoreLike, res: Resource) -> None:
        self._store, self._res = store, res
        self._watch = store.watch(res)
        self._known: dict[str, Mapping[str, Any]] = {}

    def poll(self) -> list[tuple[bool, Mapping[str, Any]]]:
        """What changed: whether it is there, and the object."""
        try:
            events = list(self._watch.poll())
            before: set[str] = set()
        except StatusError as error:
            if error.code != EXPIRED:
                raise
            self._watch = self._store.watch(self._res)
            events, before = list(self._watch.poll()), set(self._known)
        found: list[tuple[bool, Mapping[str, Any]]] = []
        for event in events:
            uid = event.object.get("metadata", {}).get("uid", "")
            before.discard(uid)
            if event.type == "DELETED":
                self._known.pop(uid, None)
                found.append((False, event.object))
            elif event.type in ("ADDED", "MODIFIED"):
                self._known[uid] = event.object
                found.append((True, event.object))
        return found + [(False, self._known.pop(uid)) for uid in sorted(before)]


class StoreFleet:
    """Simulated nodes, and the Job controller if asked, stepped by hand."""

    def __init__(
        self,
        store: StoreLike,
        nodes: Iterable[NodeSpec],
        clock: Callable[[], datetime],
        *,
        plays_job_controller: bool = True,
        image_release: ImageRelease = release_of_image,
    ) -> None:
        self.journal = Journal()
        self.kubelets: dict[str, Kubelet] = {}
        self._store, self._clock = store, clock
        self._jobs = JobController() if plays_job_controller else None
        self._pod_feed, self._job_feed = _Feed(store, PODS), _Feed(store, JOBS)
        choose = modelled_programs(image_release)
        for number, spec in enumerate(nodes, 1):
            disk = MemoryDisk(spec.name, spec.release)
            self.kubelets[spec.name] = Kubelet(spec, number, disk, choose, self.journal)

    def node(self, name: str) -> NodeView:
        """What an outside observer sees of one node."""
        return NodeView(self.kubelets[name], self.journal)

    def register(self) -> None:
        """Creates the Node objects. Raises StatusError."""
        now = self._clock()
        for kubelet in self.kubelets.values():
            self._store.create(NODES, kubelet.node(now))
            self._store.patch(NODES, kubelet.name, {"status": kubelet.status(now)}, subresource="status")

    def step(self) -> bool:
        """Takes in what changed and does what is due now. False if there was nothing."""
        now = self._clock()
        busy = self._look(now)
        for kubelet in self.kubelets.values():
            due = kubelet.due(now)
            if due is not None and due <= now:
                busy = True
                for effect in kubelet.step(now):
                    kubelet.answer(effect, self._do(effect))
        due = self._jobs.due(now) if self._jobs else None
        if self._jobs is not None and due is not None and due <= now:
            busy = True
            for job_effect in self._jobs.step(now):
                self._jobs.answer(job_effect, self._do(job_effect))
        return busy

    def due(self) -> datetime | None:
        """When `step` has something to do again, if nobody writes anything until then."""
        now = self._clock()
        times = [kubelet.due(now) for kubelet in self.kubelets.values()]
        times.append(self._jobs.due(now) if self._jobs else None)
        return min((time for time in times if time is not None), default=None)

    def _look(self, now: datetime) -> bool:
        changed = False
        for there, job in self._job_feed.poll():
            changed = True
            if self._jobs is not None:
                self._jobs.see_job(job) if there else self._jobs.job_gone(job["metadata"]["uid"])
        for there, pod in self._pod_feed.poll():
            changed = True
            if self._jobs is not None:
                self._jobs.see_pod(pod) if there else self._jobs.pod_gone(pod)
            kubelet = self.kubelets.get(pod["spec"].get("nodeName", ""))
            if kubelet is not None:
                kubelet.see(pod, now) if there else kubelet.gone(pod["metadata"]["uid"])
        return changed

    def _do(self, effect: NodeEffect | JobEffect) -> bool:
        try:
            self._write(effect)
        except StatusError as refused:
            if refused.code == GONE:
                return not isinstance(effect, CreatePod)
            return refused.code == CONFLICT and not isinstance(effect, PatchJobStatus)
        return True

    def _write(self, effect: Effect) -> None:
        patch = self._store.patch
        match effect:
            case PatchPodStatus(namespace, name, uid, status):
                patch(
                    PODS, name, {"metadata": {"uid": uid}, "status": status}, namespace, subresource="status"
                )
            case AnnotatePod(namespace, name, uid, annotations):
                patch(PODS, name, {"metadata": {"uid": uid, "annotations": dict(annotations)}}, namespace)
            case DropFinalizer(namespace, name, uid, rest):
                patch(PODS, name, {"metadata": {"uid": uid, "finalizers": list(rest) or None}}, namespace)
            case DeletePod(namespace, name, uid, gracefully):
                grace = None if gracefully else 0
                self._store.delete(PODS, name, namespace, uid=uid, grace_period_seconds=grace)
            case PatchNodeStatus(name, status):
                patch(NODES, name, {"status": status}, subresource="status")
            case CreatePod(namespace, _, _, body):
                self._store.create(PODS, body, namespace)
            case PatchJobStatus(namespace, name, uid, version, status):
                guard = {"uid": uid, "resourceVersion": version}
                patch(JOBS, name, {"metadata": guard, "status": status}, namespace, subresource="status")
            case _:
                raise TypeError(f"{type(effect).__name__} needs a real node")
