"""Draining a node as `kubectl drain` does it: by the Eviction API, so that PodDisruptionBudgets hold.

Every pod on the node is classified, with the reason. Pods are waited for by UID until they are gone; one deadline,
counted from the stored beginning, ends the drain. Then the node fails and is uncordoned: nothing has happened to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kairos_operator.api.cluster import PodView
from kairos_operator.api.names import LABEL_POSTFLIGHT, LABEL_PREFLIGHT
from kairos_operator.api.nodeop import DrainOptions
from kairos_operator.api.resources import JOBS
from kairos_operator.api.status import Step
from kairos_operator.core.actions import EvictPod, Note
from kairos_operator.core.site import Decision, Go, Site, Stay, bounded, failed, seconds

POLL_SECONDS = 2.0  # between looks at pods that are ending
_CHECKS = frozenset({LABEL_PREFLIGHT, LABEL_POSTFLIGHT})
_REFUSED = "cannot be evicted"
_DRAINING = "Draining: "
_NAMED = 5  # pods named in a message; the rest is counted


@dataclass(frozen=True, slots=True)
class Evict:
    """The pod is to go."""

    pod: PodView


@dataclass(frozen=True, slots=True)
class Ending:
    """The pod is going already; it is waited for."""

    pod: PodView


@dataclass(frozen=True, slots=True)
class Busy:
    """The pod runs another operation's command, which an eviction would cut off: it is waited for. Its Job would make
    another at once, here again, until the tries are used up.
    """

    pod: PodView


@dataclass(frozen=True, slots=True)
class Leave:
    """The pod stays; an empty reason means that there is nothing to tell about it."""

    pod: PodView
    reason: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The pod makes it impossible to drain the node as asked."""

    pod: PodView
    reason: str


Going = Evict | Ending | Busy
Verdict = Going | Leave | Blocked


def classify(site: Site, pod: PodView, options: DrainOptions) -> Verdict:
    """What becomes of one pod on the node; the order of the questions is kubectl's."""
    stays = _stays(site, pod, options)
    if stays is not None:
        return Leave(pod, stays)
    if pod.owner is not None and pod.owner.kind == "DaemonSet":
        return Blocked(pod, "a DaemonSet would make it anew at once; set drainOptions.ignoreDaemonSets")
    if pod.deleting_since is None:
        commands = pod.node_op and pod.owner is not None and pod.owner.kind == JOBS.kind
        return Busy(pod) if commands else Evict(pod)
    overdue = site.now > pod.deleting_since
    if overdue and site.node is not None and not site.node.ready:
        # Nobody can confirm the end of a pod on a node that is away: cluster-api#13508 deadlocked on it.
        return Leave(pod, "it should have ended, and the node is not Ready to say so")
    return Ending(pod)


def _stays(site: Site, pod: PodView, options: DrainOptions) -> str | None:
    """Why the pod is left alone, or None where it is not."""
    if pod.finished:
        return ""
    if pod.mirror:
        return "a static pod"
    if pod.path == site.snapshot.operator_pod:
        return "the operator's own pod"
    if pod.namespace == site.op.meta.namespace and pod.node_op == site.op.meta.name:
        return ""
    if pod.node_op and not _CHECKS.isdisjoint(pod.labels or ()):
        return ""  # another operation's check harms nobody; evicted, it would be made anew at once, again and again
    if pod.owner is not None and pod.owner.kind == "DaemonSet":
        return "a DaemonSet pod" if options.ignore_daemon_sets else None
    if pod.owner is None and not options.force:
        return "no controller would make it anew; drainOptions.force evicts it"
    if pod.empty_dir and not options.delete_empty_dir_data:
        return "it has emptyDir data; drainOptions.deleteEmptyDirData evicts it"
    return None


def drain(site: Site) -> Decision:
    """Evict what must go, and wait for it."""
    options = site.spec.drain_options
    assert options is not None  # the step is entered only where draining is enabled
    pods = site.snapshot.node_pods.get(site.name)
    left = options.timeout_seconds - site.elapsed
    if pods is None:
        return Stay("Draining", recheck=0.0)
    if _uncordoned(site):
        # Going on would evict pods that come back to this very node, and reboot under them in the end.
        text = "Drain failed: somebody made the node schedulable again in the middle of it"
        return failed(site, "DrainFailed", text)
    verdicts = [classify(site, pod, options) for pod in pods]
    blocked = [verdict for verdict in verdicts if isinstance(verdict, Blocked)]
    if blocked:
        text = f"Drain refused: {_listed(f'{v.pod.path} ({v.reason})' for v in blocked)}"
        return failed(site, "DrainRefused", text)
    going = [verdict for verdict in verdicts if isinstance(verdict, Going)]
    if not going:
        return _drained(
            site, [verdict for verdict in verdicts if isinstance(verdict, Leave) and verdict.reason]
        )
    waiting = _waiting_for(site, going)
    if left <= 0:
        waiting = _last_refusal(site, going) or waiting
        text = f"Drain failed: not done after {seconds(options.timeout_seconds)}; {waiting}"
        return failed(site, "DrainFailed", text)
    chains, recheck = _evictions(site, going, options), min(left, POLL_SECONDS)
    return Stay(bounded(f"{_DRAINING}{waiting}"), chains, recheck, notes=_standing_still(site, waiting))


def _uncordoned(site: Site) -> bool:
    """Whether the node is schedulable though it shows our claim, which came with or after its cordon."""
    node = site.node
    return node is not None and site.spec.cordon and node.claimed_by == site.claim and not node.unschedulable


def blockers(site: Site) -> list[str]:
    """The pods whose eviction a PodDisruptionBudget, or something else, refuses now."""
    if site.record.step is not Step.DRAIN:
        return []
    pods = site.snapshot.node_pods.get(site.name) or ()
    refusals = ((pod, site.refused(f"evict {pod.uid}")) for pod in pods if pod.deleting_since is None)
    return [f"{pod.path} on {site.name}: {refusal}" for pod, refusal in refusals if refusal]


def _drained(site: Site, left_alone: Sequence[Leave]) -> Go:
    text = f"Drained in {seconds(site.elapsed)}" if site.record.step is Step.DRAIN else "Drained"
    if left_alone:
        text += f"; left alone: {_listed(f'{v.pod.path} ({v.reason})' for v in left_alone)}"
    return Go(Step.JOB, "Drained", (site.note("Drained", bounded(text)),))


def _standing_still(site: Site, waiting: str) -> tuple[Note, ...]:
    """Said when an eviction is refused, and not again before it has gone on: the stored message is the memory."""
    if _REFUSED not in waiting or _REFUSED in (site.record.message or ""):
        return ()
    return (site.note("DrainBlocked", bounded(waiting), warning=True),)


def _waiting_for(site: Site, going: Sequence[Going]) -> str:
    refused = [
        f"{verdict.pod.path} {_REFUSED}: {refusal}"
        for verdict in going
        if isinstance(verdict, Evict) and (refusal := site.refused(f"evict {verdict.pod.uid}"))
    ]
    if refused:
        return _listed(refused)
    return f"waiting for {_listed(map(_told, going))} to end"


def _told(verdict: Going) -> str:
    pod = verdict.pod
    return f"{pod.path} (NodeOp {pod.node_op} at work)" if isinstance(verdict, Busy) else pod.path


def _last_refusal(site: Site, going: Sequence[Going]) -> str:
    """What refused the eviction of a pod that is still not ending, by the stored message: it outlives a restart."""
    said = site.record.message or ""
    known = any(isinstance(one, Evict) and f"{one.pod.path} {_REFUSED}" in said for one in going)
    return said.removeprefix(_DRAINING) if known else ""


def _evictions(site: Site, going: Sequence[Going], options: DrainOptions) -> tuple[tuple[EvictPod, ...], ...]:
    grace = options.grace_period_seconds
    grace = None if grace is None or grace < 0 else grace
    return tuple(
        (EvictPod(site.name, verdict.pod.namespace, verdict.pod.name, verdict.pod.uid, grace),)
        for verdict in going
        if isinstance(verdict, Evict)
    )


def _listed(texts: Iterable[str]) -> str:
    whole = list(texts)
    more = f" and {len(whole) - _NAMED} more" if len(whole) > _NAMED else ""
    return ", ".join(whole[:_NAMED]) + more
