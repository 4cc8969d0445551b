"""The Job, and the proof of the reboot after it.

The reboot pod stands before the Job does, so that nothing is lost when the Job ends fast. A Job that was once seen is
never made anew: that would run the command twice. A reboot counts only when the Job is complete, the reboot pod says
so, the node's bootID is another one, and the node is Ready.
"""

from __future__ import annotations

from kairos_operator.api.cluster import JobView, PodView
from kairos_operator.api.names import Role
from kairos_operator.api.resources import JOBS, PODS
from kairos_operator.api.status import RebootStatus, Step
from kairos_operator.core.actions import Action, Create, Delete
from kairos_operator.core.manifests import job, reboot_pod, reboot_rights
from kairos_operator.core.site import Decision, Go, Site, Stay, completed, failed, seconds
from kairos_operator.core.snapshot import Snapshot
from kairos_operator.core.trouble import holding_up, job_failure, last_failure

NO_POD_SECONDS = 5.0  # that a Job may have no pod before it is asked why, and between two such questions
_COMPLETED = "completed"
_FAILED = "failed"


def work(site: Site) -> Decision:
    """Run the command once, as a Job on the node."""
    found = site.job
    if found is None:
        return _start(site)
    if found.owner is None or found.owner.uid != site.op.meta.uid:
        return failed(site, "JobFailed", f"Job {found.name} is there and is not this NodeOp's")
    if found.complete:
        return _worked(site)
    pods = site.snapshot.job_pods.get(site.name, ())
    if found.failed:
        return failed(site, "JobFailed", f"Job failed: {job_failure(found, pods)}")
    learned = {"job_uid": found.uid, "job_name": found.name}
    if found.deleting:
        return failed(site, "JobFailed", f"Job {found.name} was deleted before it was complete")
    lost = _lost(site)
    if lost:
        return failed(site, "NodeLost", lost)
    broken = _broken(site)
    if broken is not None:
        return broken
    waits = [wait for wait in (_patience(site), None if pods else NO_POD_SECONDS) if wait is not None]
    return Stay(_progress(found, pods, site), _reboot_pod_anew(site), min(waits, default=None), learned)


def without_pods(snapshot: Snapshot) -> tuple[str, ...]:
    """The nodes whose Job has had no pod for so long that something must be against it."""
    return tuple(
        name
        for name, record in snapshot.op.status.nodes.items()
        if record.step is Step.JOB
        and (found := snapshot.jobs.get(name)) is not None
        and not (found.complete or found.failed or found.deleting or snapshot.job_pods.get(name))
        and Site(snapshot, name, record).elapsed >= NO_POD_SECONDS
    )


def reboot(site: Site) -> Decision:
    """Wait until the node is proven to be back from its reboot."""
    node, pod, record = site.node, site.pod(Role.REBOOT), site.record
    assert node is not None  # a node that is gone has been decided on before any step
    broken = _broken(site)
    if broken is not None:
        return broken
    ended = record.rebooted_from
    if pod is not None and pod.reboot_state == _COMPLETED:
        # The pod knows the boot that it ended, also where the node had rebooted by itself since it got its slot.
        ended = pod.reboot_boot_id or record.boot_id or ""
    says = ended is not None
    before = {boot for boot in (record.boot_id, ended) if boot}
    changed = bool(node.boot_id and before) and node.boot_id not in before
    if says and changed and node.ready:
        text = f"{site.name} is back {seconds(site.elapsed)} after its reboot"
        note = site.note("NodeBack", text)
        learned = {"reboot_status": RebootStatus.COMPLETED, "rebooted_from": ended}
        if site.spec.postflight is not None:
            return Go(Step.POSTFLIGHT, "Rebooted; verifying", (note,), learned)
        done = completed(site, "The command succeeded, and the node rebooted")
        return Go(done.step, done.message, (note,), {**done.learned, **learned})
    why = node.ready_reason if says else holding_up([pod] if pod else [], None)
    why = why if says else why or site.refused(f"create Pod {site.child(Role.REBOOT)}")
    left = site.spec.reboot_timeout_seconds - site.elapsed
    if left <= 0:
        limit = seconds(site.spec.reboot_timeout_seconds)
        seen = _seen(says=says, changed=changed, ready=node.ready, why=why)
        return failed(site, "RebootFailed", f"Reboot failed: not back after {limit}: {seen}")
    chains = () if says else _reboot_pod_anew(site)
    awaited = _awaited(says=says, changed=changed, ready=node.ready, why=why)
    return Stay(f"Rebooting: {awaited}", chains, left, {"rebooted_from": ended})


def _awaited(*, says: bool, changed: bool, ready: bool, why: str) -> str:
    """What a reboot that takes its course is waiting for."""
    because = f": {why}" if why else ""
    if changed:
        return (
            f"the node booted and is not Ready yet{because}"
            if says
            else f"waiting for the reboot pod{because}"
        )
    if not says:
        return f"waiting for the reboot pod{because}"
    return "the node goes down" if ready else "the node is down"


def _seen(*, says: bool, changed: bool, ready: bool, why: str) -> str:
    """What was seen of a reboot that was not proven in time."""
    because = f": {why}" if why else ""
    pod = "the reboot pod says completed" if says else f"the reboot pod has not rebooted the node{because}"
    if not changed:
        return f"{pod}, but the node's bootID did not change" if says else pod
    if not ready:
        return f"{pod}, the node's bootID changed, but the node is not Ready{because}"
    return f"the node's bootID changed, but {pod}"


def _start(site: Site) -> Decision:
    name = site.child(Role.JOB)
    pod = site.pod(Role.REBOOT)
    if site.record.job_uid or (pod is not None and pod.reboot_state == _COMPLETED):
        text = f"Job {name} is gone before its end was seen, and is not made anew: its command may have run"
        return failed(site, "JobFailed", text)
    lost = _lost(site)
    if lost:
        return failed(site, "NodeLost", lost)
    broken = _broken(site)
    if broken is not None:
        return broken
    if pod is not None and (pod.finished or pod.deleting_since):
        return Stay("Replacing the reboot pod", _reboot_pod_anew(site), _patience(site))
    create = Create(JOBS, name, job(site.snapshot, site.name), site.name)
    chain = (*_reboot_children(site), create) if pod is None else (create,)
    refusal = site.refused(*(action.subject for action in chain))
    message = f"Cannot start the Job yet: {refusal}" if refusal else "Starting the Job"
    return Stay(message, (chain,), _patience(site), {"job_name": name})


def _worked(site: Site) -> Decision:
    if site.spec.reboot_on_success:
        note = site.note("Rebooting", f"The command succeeded on {site.name}; the node reboots")
        return Go(Step.REBOOT, "Rebooting", (note,))
    if site.spec.postflight is not None:
        return Go(Step.POSTFLIGHT, "The command succeeded; verifying")
    return completed(site, "The command succeeded")


def _reboot_children(site: Site) -> tuple[Action, ...]:
    """What the reboot needs, in the order in which it is made; nothing where none is asked for."""
    if not site.spec.reboot_on_success:
        return ()
    name = site.child(Role.REBOOT)
    rights = tuple(
        Create(res, name, body, site.name) for res, body in reboot_rights(site.snapshot, site.name)
    )
    return (*rights, Create(PODS, name, reboot_pod(site.snapshot, site.name), site.name))


def _reboot_pod_anew(site: Site) -> tuple[tuple[Action, ...], ...]:
    """Replaces a reboot pod that was deleted or evicted: the new one finds on the host what the old one left."""
    if not site.spec.reboot_on_success:
        return ()
    pod = site.pod(Role.REBOOT)
    if pod is None:
        return (_reboot_children(site),)
    if pod.finished and not pod.reboot_state and not pod.deleting_since:
        return ((Delete(PODS, pod.name, pod.uid, site.name),),)
    return ()


def _broken(site: Site) -> Decision | None:
    """Whether the reboot pod says that the reboot cannot be."""
    pod = site.pod(Role.REBOOT) if site.spec.reboot_on_success else None
    if pod is None:
        return None
    if pod.owner is None or pod.owner.uid != site.op.meta.uid:
        return failed(
            site, "RebootFailed", f"Reboot failed: pod {pod.path} is there and is not this NodeOp's"
        )
    if pod.reboot_state.startswith(_FAILED):
        reason = pod.reboot_state.removeprefix(_FAILED).lstrip(": ") or last_failure([pod])
        return failed(site, "RebootFailed", f"Reboot failed: {reason}")
    return None


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
