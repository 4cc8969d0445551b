"""The Job controller, where no kube-controller-manager runs: pure, on the clock that `step` is given.

Rules (KEP-2307, tracking with finalizers): a pod of a Job is counted once, when it has ended or is being deleted;
it carries a finalizer until then, so that none is lost. A failed pod is replaced after 10 s, 20 s, 40 s and so on;
more failures than backoffLimit, or activeDeadlineSeconds, fail the Job. One pod at a time and one completion is
all it knows: a Job that asks for more is refused with ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.sandbox.fleet import jobrules as rules
from tests.sandbox.fleet.clock import moment, stamp
from tests.sandbox.fleet.effects import CreatePod, DeletePod, DropFinalizer, JobEffect, Object, PatchJobStatus

BACK_OFF, LONGEST_BACK_OFF = 10.0, 600.0


@dataclass(slots=True)
class _Patch:
    """A status write: the version it was made for, the pods it counts, and whether it was answered with success."""

    on_version: str
    counts: frozenset[str]
    stored: bool = False


class JobController:
    """The state of all Jobs and their pods, and what to do about them."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._jobs: dict[str, Object] = {}
        self._pods: dict[str, dict[str, Object]] = {}
        self._counted: set[str] = set()
        self._patches: dict[str, _Patch] = {}
        self._gone: set[str] = set()
        self._failed_at: dict[str, datetime] = {}
        self._made: dict[str, int] = {}
        self._awaited: dict[str, str] = {}
        self._wakes: dict[str, datetime] = {}
        self._dirty: set[str] = set()

    def see_job(self, job: Object) -> None:
        """The API server shows this Job."""
        spec = job["spec"]
        if spec.get("parallelism", 1) != 1 or spec.get("completions", 1) != 1:
            raise ValueError(f"Job {job['metadata']['name']}: only one pod at a time and one completion")
        uid = job["metadata"]["uid"]
        self._jobs[uid] = job
        self._dirty.add(uid)
        self._forget_shown_patch(uid)

    def job_gone(self, uid: str) -> None:
        """The API server has no such Job any more."""
        self._jobs.pop(uid, None)
        self._gone.add(uid)
        self._dirty.add(uid)

    def see_pod(self, pod: Object) -> None:
        """The API server shows this pod; those of no Job are ignored."""
        owner = rules.owner_uid(pod)
        if owner:
            self._pods.setdefault(owner, {})[pod["metadata"]["uid"]] = pod
            if self._awaited.get(owner) == pod["metadata"]["name"]:
                del self._awaited[owner]
            self._dirty.add(owner)

    def pod_gone(self, pod: Object) -> None:
        """The API server has no such pod any more."""
        owner = rules.owner_uid(pod)
        if owner:
            self._pods.get(owner, {}).pop(pod["metadata"]["uid"], None)
            self._dirty.add(owner)

    def answer(self, effect: JobEffect, ok: bool) -> None:
        """Whether the effect took place; what did not is planned again."""
        match effect:
            case PatchJobStatus(uid=uid):
                self._answer_patch(uid, ok)
            case CreatePod(job_uid=uid) if not ok:
                self._awaited.pop(uid, None)
                self._dirty.add(uid)
            case DropFinalizer(uid=uid) | DeletePod(uid=uid) if not ok:
                self._dirty |= {owner for owner, pods in self._pods.items() if uid in pods}

    def step(self, now: datetime) -> list[JobEffect]:
        """What follows from what was seen and from the time."""
        late = {uid for uid, time in self._wakes.items() if time <= now}
        todo, self._dirty = sorted(self._dirty | late), set()
        effects: list[JobEffect] = []
        for uid in todo:
            self._wakes.pop(uid, None)
            if uid in self._gone:
                effects += rules.drop_finalizers(self._pods.get(uid, {}).values())
            elif uid in self._jobs:
                effects += self._plan(self._jobs[uid], now)
        return effects

    def due(self, now: datetime) -> datetime | None:
        """When `step` has something to do again, if nothing else happens."""
        return now if self._dirty else min(self._wakes.values(), default=None)

    def _plan(self, job: Object, now: datetime) -> list[JobEffect]:
        uid, status = job["metadata"]["uid"], job.get("status") or {}
        if uid in self._patches:
            return []  # until that write is answered and seen, the status at hand is an old one
        pods = list(self._pods.get(uid, {}).values())
        if rules.finished(status):
            return rules.drop_finalizers(pods)
        waiting = [pod for pod in pods if rules.has_finalizer(pod) and rules.ended(pod)]
        new = [pod for pod in waiting if pod["metadata"]["uid"] not in self._counted]
        succeeded = status.get("succeeded", 0) + sum(rules.phase(pod) == "Succeeded" for pod in new)
        failed = status.get("failed", 0) + sum(rules.phase(pod) != "Succeeded" for pod in new)
        if any(rules.phase(pod) != "Succeeded" for pod in new):
            self._failed_at[uid] = now
        active = [pod for pod in pods if not rules.ended(pod)]
        started = moment(status["startTime"]) if status.get("startTime") else now
        wanted: dict[str, Any] = {"startTime": stamp(started), "active": len(active)}
        wanted |= {key: value for key, value in (("succeeded", succeeded), ("failed", failed)) if value}
        effects: list[JobEffect] = []
        verdict = rules.verdict(job, succeeded, failed, started, now)
        if verdict:
            effects += [rules.delete(pod) for pod in active if "deletionTimestamp" not in pod["metadata"]]
            wanted |= {"active": 0, **rules.conditions(verdict, stamp(now))}
        elif not active and uid not in self._awaited and "deletionTimestamp" not in job["metadata"]:
            effects += self._replace(job, failed, now)
        self._wake_at_deadline(job, started, verdict)
        if any(status.get(key) != value for key, value in wanted.items()):
            effects.insert(0, self._write(job, wanted, new))
        return effects + rules.drop_finalizers(pod for pod in waiting if pod not in new)

    def _write(self, job: Object, status: dict[str, Any], counts: list[Object]) -> PatchJobStatus:
        meta = job["metadata"]
        patch = _Patch(meta["resourceVersion"], frozenset(pod["metadata"]["uid"] for pod in counts))
        self._patches[meta["uid"]] = patch
        self._counted |= patch.counts
        return PatchJobStatus(meta["namespace"], meta["name"], meta["uid"], patch.on_version, status)

    def _replace(self, job: Object, failed: int, now: datetime) -> list[JobEffect]:
        """The next pod, or the time at which it may come."""
        uid = job["metadata"]["uid"]
        if failed and uid in self._failed_at:
            pause = min(LONGEST_BACK_OFF, BACK_OFF * 2.0 ** min(failed - 1, 10)) / self.speed
            time = self._failed_at[uid] + timedelta(seconds=pause)
            if now < time:
                self._wakes[uid] = time
                return []
        self._made[uid] = self._made.get(uid, 0) + 1
        body = rules.pod_of(job, self._made[uid])
        self._awaited[uid] = body["metadata"]["name"]
        return [CreatePod(job["metadata"]["namespace"], body["metadata"]["name"], uid, body)]

    def _answer_patch(self, uid: str, ok: bool) -> None:
        self._dirty.add(uid)
        if ok:
            self._patches[uid].stored = True
            self._forget_shown_patch(uid)
        else:
            self._counted -= self._patches.pop(uid).counts

    def _forget_shown_patch(self, uid: str) -> None:
        patch, job = self._patches.get(uid), self._jobs.get(uid)
        if patch and patch.stored and (job is None or job["metadata"]["resourceVersion"] != patch.on_version):
            del self._patches[uid]

    def _wake_at_deadline(self, job: Object, started: datetime, verdict: object) -> None:
        seconds = job["spec"].get("activeDeadlineSeconds")
        if seconds and not verdict:
            uid, deadline = job["metadata"]["uid"], started + timedelta(seconds=seconds)
            self._wakes[uid] = min(deadline, self._wakes.get(uid, deadline))
