"""The Job that runs the command on a node, once.

The reboot pod stands before the Job does, so that nothing is lost when the Job ends fast. A Job that was once seen is
never made anew: that would run the command twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kairos_operator.api.cluster import JobView, PodView
from kairos_operator.api.names import Role
from kairos_operator.api.resources import JOBS
from kairos_operator.api.status import Step
from kairos_operator.core.actions import Create
from kairos_operator.core.manifests import job
from kairos_operator.core.reboot import reboot_children, reboot_impossible, reboot_pod_anew
from kairos_operator.core.site import Decision, Go, Site, Stay, completed, failed, seconds
from kairos_operator.core.snapshot import Snapshot
from kairos_operator.core.trouble import holding_up, job_failure, last_failure

NO_POD_SECONDS = 5.0  # that a Job may have no pod before it is asked why, and between two such questions


def work(site: Site) -> Decision:
    """Run the command once, as a Job on the node."""
    found = site.job
    if found is None:
        return _start(site)
    if found.owner is None or found.owner.uid != site.op.meta.uid:
        return failed(site, "JobFailed", f"Job {found.name} is there and is not this NodeOp's")
    if found.complete:
        return _worked(site, {"job_uid": found.uid, "job_name": found.name})
    pods = site.snapshot.job_pods.get(site.name, ())
    if found.failed:
        return failed(site, "JobFailed", f"Job failed: {job_failure(found, pods)}")
    learned = {"job_uid": found.uid, "job_name": found.name}
    if found.deleting:
        return failed(site, "JobFailed", f"Job {found.name} was deleted before it was complete")
    lost = _lost(site)
    if lost:
        return failed(site, "NodeLost", lost, by_time=True)
    broken = reboot_impossible(site)
    if broken is not None:
        return broken
    waits = [wait for wait in (_patience(site), None if pods else NO_POD_SECONDS) if wait is not None]
    return Stay(_progress(found, pods, site), reboot_pod_anew(site), min(waits, default=None), learned)


def without_pods(snapshot: Snapshot) -> tuple[str, ...]:
    """The nodes whose Job has had no pod for so long that something must be against it; nobody asks in a deletion."""
    return tuple(
        name
        for name, record in snapshot.op.status.nodes.items()
        if record.step is Step.JOB
        and not snapshot.op.meta.deleting_since
        and (found := snapshot.jobs.get(name)) is not None
        and not (found.complete or found.failed or found.deleting or snapshot.job_pods.get(name))
        and Site(snapshot, name, record).elapsed >= NO_POD_SECONDS
    )


def _start(site: Site) -> Decision:
    name = site.child(Role.JOB)
    pod = site.pod(Role.REBOOT)
    broken = reboot_impossible(site)
    if broken is not None:
        return broken
    if pod is not None and pod.rebooted and pod.reboot_boot_id:
        # Only the command's success lets the pod say so, whoever deleted the Job since.
        return _worked(site, {})
    seen = site.record.job_uid or site.name in site.snapshot.jobs_seen
    if seen or (pod is not None and pod.rebooted):
        text = f"Job {name} is gone before its end was seen, and is not made anew: its command may have run"
        return failed(site, "JobFailed", text)
    lost = _lost(site)
    if lost:
        return failed(site, "NodeLost", lost, by_time=True)
    if pod is not None and (pod.finished or pod.deleting_since):
        return Stay("Replacing the reboot pod", reboot_pod_anew(site), _patience(site))
    create = Create(JOBS, name, partial(job, site.snapshot.bare(), site.name), site.name)
    chain = (*reboot_children(site), create) if pod is None else (create,)
    refusal = site.refused(*(action.subject for action in chain))
    message = f"Cannot start the Job yet: {refusal}" if refusal else "Starting the Job"
    learned = {"job_name": name}
    if site.node is not None and site.node.boot_id:
        learned["boot_id"] = (
            site.node.boot_id
        )  # the last one before the work: it may have rebooted since the step began
    return Stay(message, (chain,), _patience(site), learned)


def _worked(site: Site, seen: Mapping[str, Any]) -> Decision:
    """The command is done; `seen` says by which Job, which must be known before that can be deleted."""
    if site.spec.reboot_on_success:
        note = site.note("Rebooting", f"The command succeeded on {site.name}; the node reboots")
        return Go(Step.REBOOT, "Rebooting", (note,), seen)
    if site.spec.postflight is not None:
        return Go(Step.POSTFLIGHT, "The command succeeded; verifying")
    return completed(site, "The command succeeded")


def _lost(site: Site) -> str:
    """What to say of a node that has been away for so long that nobody waits any more, or nothing."""
    left = _patience(site)
    if left is None or left > 0 or site.node is None:
        return ""
    limit = seconds(site.spec.reboot_timeout_seconds)
    reason = f": {site.node.ready_reason}" if site.node.ready_reason else ""
    return f"The node has not been Ready for {limit} while the Job was due{reason}"


def _patience(site: Site) -> float | None:
    """Seconds that a node which is not Ready is still waited for; None while it is Ready."""
    return None if site.away is None else site.spec.reboot_timeout_seconds - site.away


def _progress(found: JobView, pods: tuple[PodView, ...], site: Site) -> str:
    why = holding_up(pods, site.node)
    if why:
        return f"Job {found.name}: {why}"
    if found.attempts:
        last = last_failure(pods)
        tries = "a failed try" if found.attempts == 1 else f"{found.attempts} failed tries"
        again = f"Job {found.name} is running again after {tries}"
        return f"{again}; the last: {last}" if last else again
    if pods:
        return f"Job {found.name} is running"
    refusal = site.snapshot.pod_refusals.get(site.name, "")
    return f"Job {found.name} has no pod yet" + (f": {refusal}" if refusal else "")
