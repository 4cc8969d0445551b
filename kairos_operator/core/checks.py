"""The preflight and the postflight: an unprivileged pod whose verdict decides about the node.

Preflight: a message on success skips the node, silence lets it go on, a failed pod fails it. Postflight: success is
good whatever it says, a failed pod fails the node. The pod is deleted once its verdict is stored, not before.
"""

from __future__ import annotations

from functools import partial

from kairos_operator.api.cluster import PodView
from kairos_operator.api.names import Role
from kairos_operator.api.nodeop import NodeCheck
from kairos_operator.api.resources import PODS
from kairos_operator.api.status import Outcome, Step
from kairos_operator.core.actions import Create
from kairos_operator.core.manifests import check_pod
from kairos_operator.core.site import (
    Decision,
    Go,
    Site,
    Stay,
    after_check,
    bounded,
    completed,
    failed,
    seconds,
)
from kairos_operator.core.trouble import holding_up, verdict

# The pod's own activeDeadlineSeconds begins when the kubelet sees it; a kubelet that never does must end too.
GRACE_SECONDS = 60
# A node that is away takes no preflight; its slot goes to another long before an image could have been pulled.
AWAY_SECONDS = 180


def preflight(site: Site) -> Decision:
    """Whether the node needs the operation at all."""
    check = site.spec.preflight
    if check is None:
        return Go(after_check(site), "No preflight is set")
    pod = site.pod(Role.PREFLIGHT)
    unfinished = _unfinished(site, Role.PREFLIGHT, check, pod, "Preflight")
    if unfinished is not None or pod is None:
        return unfinished or Stay("Preflight: starting")
    reason = pod.termination_message
    if not reason:
        return Go(after_check(site), "Preflight passed")
    message = bounded(f"Skipped by preflight: {reason}")
    note = site.note("Skipped", message)
    return Go(Step.DONE, message, (note,), {"outcome": Outcome.SKIPPED})


def postflight(site: Site) -> Decision:
    """Whether the work did what it was meant to do."""
    check = site.spec.postflight
    if check is None:
        return completed(site, "The command succeeded")
    pod = site.pod(Role.POSTFLIGHT)
    unfinished = _unfinished(site, Role.POSTFLIGHT, check, pod, "Postflight")
    if unfinished is not None or pod is None:
        return unfinished or Stay("Postflight: starting")
    said = pod.termination_message
    done = "Rebooted and verified" if site.spec.reboot_on_success else "Verified"
    return completed(site, bounded(f"{done} by postflight{': ' + said if said else ''}"))


def _unfinished(site: Site, role: Role, check: NodeCheck, pod: PodView | None, title: str) -> Decision | None:
    """What to do as long as the pod has not succeeded; None once it has."""
    limit = check.active_deadline_seconds + GRACE_SECONDS
    name = site.child(role)
    if pod is not None and (pod.owner is None or pod.owner.uid != site.op.meta.uid):
        return failed(
            site, f"{title}Failed", f"{title} failed: pod {pod.path} is there and is not this NodeOp's"
        )
    if pod is not None and pod.succeeded:
        return None
    if pod is not None and pod.phase == "Failed":
        return failed(site, f"{title}Failed", f"{title} failed: {verdict(pod)}")
    why = holding_up([pod] if pod else [], site.node) or site.refused(f"create Pod {name}")
    left = limit - site.elapsed
    if role is Role.PREFLIGHT and site.away is not None:
        left = min(left, AWAY_SECONDS - site.away)
    if left <= 0:
        text = f"{title} failed: no verdict after {seconds(site.elapsed)}" + (f"; {why}" if why else "")
        return failed(site, f"{title}Failed", text, by_time=True)
    message = f"{title}: {why}" if why else f"{title} is running"
    if pod is not None:
        return Stay(message, recheck=left)
    create = Create(PODS, name, partial(check_pod, site.snapshot.bare(), site.name, role, check), site.name)
    return Stay(message, ((create,),), left)
