"""What can hold up an operation on one node. Pure. Each question yields its findings, the oldest node's first."""

from __future__ import annotations

from collections.abc import Iterator

from kairos_operator.api.names import Claim
from kairos_operator.api.status import Step
from kairos_operator.cli.finding import Facts, Finding
from kairos_operator.core.site import seconds
from kairos_operator.core.trouble import holding_up, last_failure

LONG_REBOOT_SECONDS = 300.0  # a reboot that takes longer is worth a look at the console


def blocked_drain(facts: Facts) -> Iterator[Finding]:
    """A drain that a budget, or something else, refuses."""
    if facts.operation.blocked_drain:
        yield Finding(
            "DrainBlocked",
            f"A drain is blocked: {facts.operation.blocked_drain}",
            "see `kubectl get poddisruptionbudgets -A`; let the budget allow it (more replicas, all of them ready),"
            " or delete the pod yourself; the drain goes on by itself, and at its timeout the node fails and is"
            " uncordoned",
        )


def held_node(facts: Facts) -> Iterator[Finding]:
    """A node that another operation holds."""
    for name, record in facts.flying:
        node = facts.nodes.get(name)
        if record.step is not Step.CLAIM or node is None or not node.claimed_by:
            continue
        holder = Claim.parse(node.claimed_by)
        if holder is not None and holder.uid == _own_uid(facts):
            continue
        whom = f"NodeOp {holder.operation}" if holder else f"{node.claimed_by!r}"
        how = (
            f"wait for it, or see `kubectl kairos why nodeop/{holder.name} -n {holder.namespace}`"
            if holder
            else "the annotation operator.kairos.io/claimed-by on the node is not the operator's; remove it"
        )
        yield Finding("NodeHeld", f"{name} is held by {whom}, and one operation at a time may", how, name)


def _own_uid(facts: Facts) -> str:
    """The UID under which nodes are claimed: the NodeOp's, also where the operation is an upgrade."""
    status = facts.operation.status
    return getattr(status, "node_op_uid", None) or facts.operation.meta.uid


def node_away(facts: Facts) -> Iterator[Finding]:
    """A node in flight that is not Ready; one that reboots may be away for a while."""
    for name, record in facts.flying:
        node = facts.nodes.get(name)
        if node is None or node.ready:
            continue
        away = (facts.now - node.ready_since).total_seconds() if node.ready_since else None
        told = f"{name} is not Ready" + (f" for {seconds(away)}" if away is not None else "")
        told += f" ({node.ready_reason})" if node.ready_reason else ""
        if record.step is not Step.REBOOT:
            remedy = f"see `kubectl describe node {name}`; nothing runs on it before its kubelet is back"
            yield Finding("NodeNotReady", told, remedy, name)
        elif away is not None and away > LONG_REBOOT_SECONDS:
            text = f"{told} since its reboot began; after spec.rebootTimeoutSeconds the node fails"
            yield Finding("RebootSlow", text, f"look at the console of {name}", name)


def stuck_pod(facts: Facts) -> Iterator[Finding]:
    """A pod of the operation that cannot start."""
    for name, _ in facts.flying:
        pods = [pod for pod in facts.pods if name in (pod.node, pod.operation_node) and not pod.finished]
        text = holding_up(pods, None)
        if text:
            pulls = "Image" in text
            yield Finding(
                "ImagePull" if pulls else "PodWaiting",
                f"On {name}, {text}",
                "check the image's name, and the registry's login (spec.imagePullSecrets); the kubelet tries again"
                " by itself, but a wrong image needs a new operation"
                if pulls
                else f"see `kubectl kairos logs {facts.operation.meta.name} {name}`",
                name,
            )


def retried_job(facts: Facts) -> Iterator[Finding]:
    """A command that failed and is tried again."""
    for name, record in facts.flying:
        for job in facts.jobs:
            if job.name == record.job_name and job.attempts and not (job.complete or job.failed):
                times = "once" if job.attempts == 1 else f"{job.attempts} times"
                pods = [pod for pod in facts.pods if pod.owner and pod.owner.name == job.name]
                last = last_failure(pods)
                yield Finding(
                    "JobRetried",
                    f"On {name}, the command failed {times} and is tried again"
                    + (f"; the last: {last}" if last else ""),
                    f"see `kubectl kairos logs {facts.operation.meta.name} {name}`",
                    name,
                )
