"""The rules of the Job controller that need no memory: verdicts, conditions, the pod of a Job."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from tests.sandbox.fleet.effects import DeletePod, DropFinalizer, JobEffect, Object

FINALIZER = "batch.kubernetes.io/job-tracking"
DEFAULT_BACKOFF_LIMIT = 6


def verdict(
    job: Object, succeeded: int, failed: int, started: datetime, now: datetime
) -> tuple[str, str, str] | None:
    """Condition type, reason and message of a Job that is over."""
    seconds = job["spec"].get("activeDeadlineSeconds")
    limit = job["spec"].get("backoffLimit", DEFAULT_BACKOFF_LIMIT)
    if succeeded >= 1:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failed > limit:
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if seconds and now >= started + timedelta(seconds=seconds):
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def conditions(verdict: tuple[str, str, str], time: str) -> dict[str, Any]:
    """The part of a Job's status that says that it is over."""
    kind, reason, message = verdict
    first = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
    found = [
        {
            "type": one,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": time,
            "lastProbeTime": time,
        }
        for one in (first, kind)
    ]
    return {"conditions": found} | ({"completionTime": time} if kind == "Complete" else {})


def pod_of(job: Object, number: int) -> dict[str, Any]:
    """The body of the Job's pod of that number."""
    meta, template = job["metadata"], job["spec"]["template"]
    suffix = hashlib.sha256(f"{meta['uid']}/{number}".encode()).hexdigest()[:5]
    own = template.get("metadata") or {}
    labels = {
        "batch.kubernetes.io/job-name": meta["name"],
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "job-name": meta["name"],
        "controller-uid": meta["uid"],
    }
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": f"{meta['name'][:57]}-{suffix}",
        "namespace": meta["namespace"],
        "labels": {**(own.get("labels") or {}), **labels},
        "annotations": own.get("annotations") or {},
        "finalizers": [FINALIZER],
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def owner_uid(pod: Object) -> str:
    """The UID of the Job that the pod belongs to, or nothing."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == "Job":
            return str(owner["uid"])
    return ""


def phase(pod: Object) -> str:
    """The pod's phase."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def ended(pod: Object) -> bool:
    """Whether the pod counts as ended: a deleted one does at once (podReplacementPolicy TerminatingOrFailed)."""
    return phase(pod) in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]


def finished(status: Object) -> bool:
    """Whether the Job is over."""
    return any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True"
        for one in status.get("conditions") or ()
    )


def has_finalizer(pod: Object) -> bool:
    """Whether the pod still waits to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def drop_finalizers(pods: Any) -> list[JobEffect]:
    """Lets those pods go that have been counted."""
    found: list[JobEffect] = []
    for pod in pods:
        if has_finalizer(pod):
            meta = pod["metadata"]
            rest = tuple(one for one in meta["finalizers"] if one != FINALIZER)
            found.append(DropFinalizer(meta["namespace"], meta["name"], meta["uid"], rest))
    return found


def delete(pod: Object) -> DeletePod:
    """Ends a pod within its grace period."""
    meta = pod["metadata"]
    return DeletePod(meta["namespace"], meta["name"], meta["uid"], gracefully=True)
