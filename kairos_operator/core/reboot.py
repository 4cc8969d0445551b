"""The reboot after the Job: the pod that does it, and the proof that it was done.

A reboot counts only when the reboot pod says so, the node's bootID is another one than before, by a view from after the
boot that was ended, and the node is Ready.

A kubelet runs pods before it has said which boot it is in. So the Node of a machine that has rebooted by itself since
its Job was made may show a boot between that one and the one that was ended, and "another one" says nothing: its reboot
pod must have ended well, too, as it does in a later boot alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kairos_operator.api.names import Role
from kairos_operator.api.resources import PODS
from kairos_operator.api.status import NodeStatus, RebootStatus, Step
from kairos_operator.core.actions import Action, Create, Delete
from kairos_operator.core.manifests import REBOOT_RIGHTS, reboot_pod
from kairos_operator.core.site import Decision, Go, Site, Stay, completed, failed, seconds
from kairos_operator.core.snapshot import ChildKey, Snapshot
from kairos_operator.core.trouble import holding_up, last_failure

SETTLED_SECONDS = 60.0
"""After which a Node shows the boot that its pods run in, or is no longer Ready (node-monitor-grace-period: 50 s)."""
_FAILED = "failed"


def said_to_be_back(snapshot: Snapshot) -> Mapping[str, Proof]:
    """The nodes that seem to be back from their reboot. Their views must be from after the boot that was ended: one
    from before it would show another boot, too.
    """
    found = {}
    for name, record in snapshot.op.status.nodes.items():
        if name not in snapshot.busy and (record.step is Step.REBOOT or worked(snapshot, name, record)):
            proof = _proof(Site(snapshot, name, record))
            if proof.complete:
                found[name] = proof
    return found


def worked(snapshot: Snapshot, name: str, record: NodeStatus) -> bool:
    """Whether the command is done and the node is to reboot, or does, though that may not be stored yet."""
    job, pod = snapshot.jobs.get(name), snapshot.pods.get(ChildKey(Role.REBOOT, name))
    done = job.complete if job is not None else pod is not None and pod.rebooted
    return done and record.step is Step.JOB and snapshot.op.spec.reboot_on_success


@dataclass(frozen=True, slots=True)
class Proof:
    """What is seen of a reboot: the boot that the reboot pod ended, if it says so, and the node since."""

    ended: str | None
    changed: bool
    ready: bool
    shown: bool  # the Node has shown the boot that was ended: another one in a later view is a later one
    outlived: bool  # the reboot pod has ended well, as it does in a later boot

    @property
    def says(self) -> bool:
        """Whether the reboot pod says completed."""
        return self.ended is not None

    @property
    def complete(self) -> bool:
        """Whether all three signs are there."""
        return self.says and self.changed and self.ready


def _proof(site: Site) -> Proof:
    node, pod, record = site.node, site.pod(Role.REBOOT), site.record
    ended = record.rebooted_from
    if pod is not None and pod.rebooted:
        # The pod knows the boot that it ended, also where the node had rebooted by itself since it got its slot.
        ended = pod.reboot_boot_id or record.boot_id or ""
    before = {boot for boot in (record.boot_id, ended) if boot}
    changed = node is not None and bool(node.boot_id and before) and node.boot_id not in before
    outlived = pod is not None and pod.rebooted and pod.succeeded
    return Proof(ended, changed, node is not None and node.ready, ended == record.boot_id, outlived)


def reboot(site: Site) -> Decision:
    """Wait until the node is proven to be back from its reboot."""
    node, pod = site.node, site.pod(Role.REBOOT)
    assert node is not None  # a node that is gone has been decided on before any step
    broken = reboot_impossible(site)
    if broken is not None:
        return broken
    proof = _proof(site)
    if proof.complete and site.name in site.snapshot.seen_after:
        return _back(site, proof)
    learned = {"rebooted_from": proof.ended}
    if proof.complete and (proof.shown or proof.outlived):
        recheck = 0.0 if proof.shown else SETTLED_SECONDS
        return Stay("Rebooting: making sure that the node is back", recheck=recheck, learned=learned)
    held = holding_up([pod] if pod else [], None) or site.refused(f"create Pod {site.child(Role.REBOOT)}")
    left = site.spec.reboot_timeout_seconds - site.elapsed
    if left <= 0:
        limit = seconds(site.spec.reboot_timeout_seconds)
        text = f"Reboot failed: not back after {limit}: {_seen(proof, held, node.ready_reason)}"
        return failed(site, "RebootFailed", text, by_time=True)
    # Where only the pod can tell which boot is shown, one that cannot any more is replaced though it has rebooted.
    chains = reboot_pod_anew(site, rebooted=proof.says) if proof.complete or not proof.says else ()
    why = node.ready_reason if proof.says and not proof.ready else held
    return Stay(f"Rebooting: {_awaited(proof, why)}", chains, left, learned)


def _back(site: Site, proof: Proof) -> Decision:
    learned: dict[str, Any] = {"rebooted_from": proof.ended, "reboot_status": RebootStatus.COMPLETED}
    note = site.note("NodeBack", f"{site.name} is back {seconds(site.elapsed)} after its reboot")
    if site.spec.postflight is not None:
        return Go(Step.POSTFLIGHT, "Rebooted; verifying", (note,), learned)
    done = completed(site, "The command succeeded, and the node rebooted")
    return Go(done.step, done.message, (note,), {**done.learned, **learned})


def _awaited(proof: Proof, why: str) -> str:
    """What a reboot that takes its course is waiting for."""
    because = f": {why}" if why else ""
    if proof.complete:
        return f"the node booted; waiting for the reboot pod to say that it was by this reboot{because}"
    if proof.changed:
        return (
            f"the node booted and is not Ready yet{because}"
            if proof.says
            else f"waiting for the reboot pod{because}"
        )
    if not proof.says:
        return f"waiting for the reboot pod{because}"
    return "the node goes down" if proof.ready else "the node is down"


def _seen(proof: Proof, held: str, reason: str) -> str:
    """What was seen of a reboot that was not proven in time; `held` is what holds its pod up, `reason` the node's."""
    reason = f": {reason}" if reason else ""
    if proof.complete:
        also = f": {held}" if held else ""
        return f"the node's bootID changed, but may have before its reboot: the reboot pod has not said since{also}"
    if proof.says and proof.changed:
        return f"the reboot pod says completed, the node's bootID changed, but the node is not Ready{reason}"
    if proof.says and proof.ready:
        return "the reboot pod says completed, but the node's bootID did not change"
    if proof.says:
        return f"the reboot pod says completed, the node went down and did not come back{reason}"
    seen = "the reboot pod has not rebooted the node" + (f": {held}" if held else "")
    if proof.changed:
        seen = f"the node's bootID changed, but {seen}"
    return seen if proof.ready else f"{seen}; the node is not Ready{reason}"


def reboot_children(site: Site) -> tuple[Action, ...]:
    """What the reboot needs, in the order in which it is made; nothing where none is asked for."""
    if not site.spec.reboot_on_success:
        return ()
    name = site.child(Role.REBOOT)
    bare = site.snapshot.bare()
    return tuple(
        Create(resource, name, partial(make, bare, site.name), site.name)
        for resource, make in (*REBOOT_RIGHTS, (PODS, reboot_pod))
    )


def reboot_pod_anew(site: Site, *, rebooted: bool = False) -> tuple[tuple[Action, ...], ...]:
    """Replaces a reboot pod that was deleted or evicted: the new one finds on the host what the old one left. One that
    has said completed is replaced only if it is asked for as `rebooted`.
    """
    if not site.spec.reboot_on_success:
        return ()
    pod = site.pod(Role.REBOOT)
    if pod is None:
        return (reboot_children(site),)
    if pod.finished and not pod.deleting_since and (rebooted or not pod.reboot_state):
        return ((Delete(PODS, pod.name, pod.uid, site.name),),)
    return ()


def reboot_impossible(site: Site) -> Decision | None:
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
