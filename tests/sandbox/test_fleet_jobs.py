"""The Job controller model: counts every pod once, replaces failed ones in time, and ends the Job for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.fleet import JobController
from tests.sandbox.fleet.clock import stamp
from tests.sandbox.fleet.effects import CreatePod, DeletePod, DropFinalizer, PatchJobStatus

START = datetime(2026, 1, 1, tzinfo=UTC)


class Cluster:
    """One Job and its pods, with views that can be held back."""

    def __init__(self, **spec: Any) -> None:
        self.now = START
        self.jobs = JobController()
        self.version = 1
        self.pods: dict[str, dict[str, Any]] = {}
        self.created = 0
        self.deleted: list[str] = []
        self.refuse_patches = 0
        self.job: dict[str, Any] = {
            "metadata": {"name": "job", "namespace": "default", "uid": "job-uid", "resourceVersion": "1"},
            "spec": {"template": {"spec": {"nodeName": "n"}}, **spec},
            "status": {},
        }
        self.jobs.see_job(self.job)

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.job["status"]
        return status

    @property
    def active(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]

    def verdicts(self) -> list[str]:
        return [one["type"] for one in self.status.get("conditions", ())]

    def run(self, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        for _ in range(1000):
            due = self.jobs.due(self.now)
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            for effect in self.jobs.step(self.now):
                self._apply(effect)
        raise AssertionError("the model does not come to rest")

    def end(self, name: str, phase: str) -> None:
        """The kubelet says how the pod ended."""
        state = {"terminated": {"finishedAt": stamp(self.now), "exitCode": 0}}
        self._change(name, status={"phase": phase, "containerStatuses": [{"state": state}]})

    def delete(self, name: str) -> None:
        meta = {**self.pods[name]["metadata"], "deletionTimestamp": stamp(self.now)}
        self._change(name, metadata=meta)

    def _change(self, name: str, **parts: Any) -> None:
        self.pods[name] = {**self.pods[name], **parts}
        self.jobs.see_pod(self.pods[name])

    def _apply(self, effect: Any) -> None:
        match effect:
            case CreatePod(_, name, _, body):
                self.created += 1
                meta = {**body["metadata"], "uid": f"uid-{self.created}"}
                self.pods[name] = {**body, "metadata": meta, "status": {"phase": "Pending"}}
                self.jobs.see_pod(self.pods[name])
            case PatchJobStatus(resource_version=version, status=status):
                if self.refuse_patches or version != str(self.version):
                    self.refuse_patches = max(0, self.refuse_patches - 1)
                    self.jobs.answer(effect, False)
                    return
                self.version += 1
                meta = {**self.job["metadata"], "resourceVersion": str(self.version)}
                self.job = {**self.job, "metadata": meta, "status": {**self.status, **status}}
                self.jobs.see_job(self.job)
            case DropFinalizer(_, name, _, finalizers):
                meta = {**self.pods[name]["metadata"], "finalizers": list(finalizers)}
                if "deletionTimestamp" in meta and not finalizers:
                    self.jobs.pod_gone(self.pods.pop(name))
                else:
                    self._change(name, metadata=meta)
            case DeletePod(_, name):
                self.deleted.append(name)
        self.jobs.answer(effect, True)


def test_a_job_makes_one_pod_and_is_complete_when_that_succeeds() -> None:
    cluster = Cluster()
    cluster.run(5)
    [pod] = cluster.active
    assert cluster.status["active"] == 1
    cluster.end(pod, "Succeeded")
    cluster.run(60)
    assert cluster.verdicts() == ["SuccessCriteriaMet", "Complete"]
    assert (cluster.status["succeeded"], cluster.status["active"], cluster.created) == (1, 0, 1)
    assert cluster.pods[pod]["metadata"]["finalizers"] == []


def test_failed_pods_are_replaced_later_and_later_until_the_limit() -> None:
    cluster = Cluster(backoffLimit=2)
    for seconds in (9, 18):
        cluster.run(1)
        cluster.end(cluster.active[0], "Failed")
        cluster.run(seconds)
        assert cluster.active == []
        cluster.run(3)
        assert len(cluster.active) == 1
    cluster.end(cluster.active[0], "Failed")
    cluster.run(600)
    assert (cluster.created, cluster.status["failed"]) == (3, 3)
    assert cluster.status["conditions"][-1]["reason"] == "BackoffLimitExceeded"


def test_no_failure_is_counted_twice_when_status_writes_are_refused() -> None:
    cluster = Cluster(backoffLimit=3)
    cluster.run(1)
    cluster.refuse_patches = 3
    cluster.end(cluster.active[0], "Failed")
    cluster.run(60)
    assert cluster.status["failed"] == 1
    assert cluster.created == 2


def test_a_deleted_pod_counts_as_failed_and_may_go() -> None:
    cluster = Cluster()
    cluster.run(1)
    [pod] = cluster.active
    cluster.delete(pod)
    cluster.run(60)
    assert pod not in cluster.pods
    assert cluster.status["failed"] == 1
    assert len(cluster.active) == 1


def test_the_deadline_fails_the_job_and_ends_its_pod() -> None:
    cluster = Cluster(activeDeadlineSeconds=100)
    cluster.run(99)
    assert cluster.verdicts() == []
    cluster.run(2)
    assert cluster.status["conditions"][-1]["reason"] == "DeadlineExceeded"
    assert cluster.deleted == list(cluster.pods)


def test_the_pods_of_a_job_that_is_gone_may_go() -> None:
    cluster = Cluster()
    cluster.run(1)
    [pod] = cluster.active
    cluster.jobs.job_gone("job-uid")
    cluster.delete(pod)
    cluster.run(1)
    assert cluster.pods == {}


def test_a_job_of_several_pods_is_refused() -> None:
    with pytest.raises(ValueError, match="only one pod"):
        Cluster(completions=3)
