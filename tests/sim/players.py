"""The controllers that a cluster has anyway: Jobs, ReplicaSets and DaemonSets, pod and owner garbage collection."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from kairos_operator.api.base import timestamp
from kairos_operator.api.resources import JOBS, NODES, POD_DISRUPTION_BUDGETS, PODS, SECRETS
from tests.sandbox.store import Store
from tests.sim.cluster import Change, Cluster, Object
from tests.sim.scenario import AppPlan
from tests.sim.truth import owner_uid

if TYPE_CHECKING:
    from tests.sim.world import World

BACKOFF = 10.0


class JobController:
    """Makes a Job's pods one after the other until one succeeds or too many have failed."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._failed: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self._counted: set[str] = set()

    def job_made(self, job: Object) -> None:
        """A new Job: its first pod, and its deadline."""
        self._next_pod(job, 0.1 + self._rng.random())
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is not None:
            self._cluster.timeline.after(limit, lambda: self._fail(job, "DeadlineExceeded"))

    def pod_changed(self, change: Change) -> None:
        """A Job's pod ended, or was taken away before it did."""
        pod = change.obj
        uid = pod["metadata"]["uid"]
        job = self._job_of(pod)
        phase = (pod.get("status") or {}).get("phase")
        gone = change.new is None or "deletionTimestamp" in pod["metadata"]
        if job is None or uid in self._counted or _ended(job):
            return
        if phase == "Succeeded":
            self._counted.add(uid)
            self._cluster.timeline.after(
                0.1 + self._rng.random(), lambda: self._conclude(job, "Complete", "")
            )
        elif phase == "Failed" or gone:
            self._counted.add(uid)
            self._failed[job["metadata"]["uid"]] += 1
            self._after_failure(job)

    def _after_failure(self, job: Object) -> None:
        failed = self._failed[job["metadata"]["uid"]]
        self._patch(job, {"failed": failed})
        if failed > job["spec"]["backoffLimit"]:
            self._cluster.timeline.after(0.3, lambda: self._fail(job, "BackoffLimitExceeded"))
        else:
            self._next_pod(job, BACKOFF * 2 ** (failed - 1))

    def _next_pod(self, job: Object, seconds: float) -> None:
        meta = job["metadata"]
        self._made[meta["uid"]] += 1
        template = job["spec"]["template"]
        reference = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
        metadata = {
            "name": f"{meta['name'][:50]}-{self._made[meta['uid']]}",
            "namespace": meta["namespace"],
            "labels": template["metadata"].get("labels"),
            "annotations": template["metadata"].get("annotations"),
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

        def make() -> None:
            current = self._current(job)
            if current is not None and not _ended(current) and "deletionTimestamp" not in current["metadata"]:
                self._cluster.attempt(
                    "job-controller", lambda store: store.create(PODS, body, meta["namespace"])
                )

        self._cluster.timeline.after(seconds, make)

    def _fail(self, job: Object, reason: str) -> None:
        current = self._current(job)
        if current is None or _ended(current):
            return
        self._conclude(job, "Failed", reason)
        for pod in self._cluster.all(PODS):
            if owner_uid(pod) == job["metadata"]["uid"] and pod["status"].get("phase") not in (
                "Succeeded",
                "Failed",
            ):
                self._cluster.attempt("job-controller", partial(_delete, pod, None))

    def _conclude(self, job: Object, kind: str, reason: str) -> None:
        if (current := self._current(job)) is not None and not _ended(current):
            condition = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": self._time()}
            self._patch(job, {"conditions": [condition]})

    def _patch(self, job: Object, status: dict[str, Any]) -> None:
        meta = job["metadata"]
        if self._current(job) is not None:
            self._cluster.attempt(
                "job-controller",
                lambda store: store.patch(
                    JOBS, meta["name"], {"status": status}, meta["namespace"], subresource="status"
                ),
            )

    def _time(self) -> str:
        return timestamp(self._cluster.clock())

    def _job_of(self, pod: Object) -> Object | None:
        name = next(
            (r["name"] for r in pod["metadata"].get("ownerReferences") or () if r["kind"] == "Job"), None
        )
        job = self._cluster.find(JOBS, name, pod["metadata"]["namespace"]) if name else None
        return job if job is not None and job["metadata"]["uid"] == owner_uid(pod) else None

    def _current(self, job: Object) -> Object | None:
        found = self._cluster.find(JOBS, job["metadata"]["name"], job["metadata"]["namespace"])
        return found if found is not None and found["metadata"]["uid"] == job["metadata"]["uid"] else None


def _ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def _delete(pod: Object, grace: int | None, store: Store) -> Object:
    meta = pod["metadata"]
    return store.delete(PODS, meta["name"], meta["namespace"], grace_period_seconds=grace)


class AppController:
    """Keeps the pods of one app: a ReplicaSet's on any schedulable node, a DaemonSet's on every node."""

    def __init__(self, plan: AppPlan, world: World, rng: random.Random) -> None:
        self._plan = plan
        self._world = world
        self._cluster = world.cluster
        self._rng = rng
        self._count = 0
        self._due = False
        # Stands for the ReplicaSet or DaemonSet, which the store does not serve: garbage collection asks for its UID.
        owner = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": plan.name, "namespace": "default"},
        }
        self._owner = self._cluster.write("setup", lambda store: store.create(SECRETS, owner, "default"))
        if plan.min_available is not None:
            spec = {"minAvailable": plan.min_available, "selector": {"matchLabels": {"app": plan.name}}}
            budget = {"metadata": {"name": f"{plan.name}-budget", "namespace": "default"}, "spec": spec}
            body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **budget}
            self._cluster.write("setup", lambda store: store.create(POD_DISRUPTION_BUDGETS, body, "default"))
        self.look()

    def pod_gone(self) -> None:
        """One of its pods goes: look soon whether another is needed."""
        if self._plan.controlled and not self._due:
            self._due = True
            self._cluster.timeline.after(0.5 + self._rng.random(), self.look)

    def look(self) -> None:
        """Make what is missing, where there is room."""
        self._due = False
        mine = [
            p
            for p in self._cluster.all(PODS)
            if (p["metadata"].get("labels") or {}).get("app") == self._plan.name
        ]
        live = [
            p
            for p in mine
            if "deletionTimestamp" not in p["metadata"] and p["status"].get("phase") != "Failed"
        ]
        nodes = self._world.schedulable()
        if self._plan.replicas < 0:
            taken = {p["spec"]["nodeName"] for p in live}
            for name in self._world.standing():
                if name not in taken:
                    self._make(name)
            return
        for _ in range(self._plan.replicas - len(live)):
            if nodes:
                self._make(self._rng.choice(nodes))
            elif self._world.cluster.now < self._world.scenario.calm_from + 600:
                self.pod_gone()

    def _make(self, node: str) -> None:
        self._count += 1
        metadata: Object = {
            "name": f"{self._plan.name}-{self._count}",
            "namespace": "default",
            "labels": {"app": self._plan.name},
        }
        if self._plan.controlled:
            kind = "DaemonSet" if self._plan.replicas < 0 else "ReplicaSet"
            reference = {
                "apiVersion": "apps/v1",
                "kind": kind,
                "name": self._plan.name,
                "uid": self._owner["metadata"]["uid"],
            }
            metadata["ownerReferences"] = [{**reference, "controller": True}]
        spec: Object = {"nodeName": node, "containers": [{"name": "main", "image": "app:1"}]}
        if self._plan.empty_dir:
            spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self._cluster.attempt("app-controller", lambda store: store.create(PODS, body, "default"))


class GarbageCollector:
    """Takes away what nobody owns any more, after a while, and pods of nodes that no longer exist."""

    def __init__(self, cluster: Cluster, delay: float) -> None:
        self._cluster = cluster
        self._delay = delay
        self._due = False

    def something_gone(self) -> None:
        """An object is gone, or is about to go."""
        if not self._due:
            self._due = True
            self._cluster.timeline.after(self._delay, self._collect)

    def node_gone(self, name: str) -> None:
        """A node is gone: its pods go too, unless it has come back by then."""
        self._cluster.timeline.after(40.0, lambda: self._collect_pods(name))

    def _collect(self) -> None:
        self._due = False
        self._cluster.write("garbage", lambda store: store.collect_garbage())

    def _collect_pods(self, node: str) -> None:
        if self._cluster.find(NODES, node) is not None:
            return
        for pod in self._cluster.all(PODS):
            if pod["spec"].get("nodeName") == node:
                self._cluster.attempt("pod-gc", partial(_delete, pod, 0))
