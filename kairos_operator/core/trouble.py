"""Why a pod or Job does not move, or ended badly, in words that save the user the search for it."""

from __future__ import annotations

from collections.abc import Sequence

from kairos_operator.api.cluster import ContainerView, JobView, NodeView, PodView
from kairos_operator.core.site import bounded

_NOT_ITS_OWN = 126  # exit codes from here on are of a shell that could not run it, or of a signal
_TAIL = 600  # characters of a container's last words: the end of a log says more than its beginning


def ending(container: ContainerView) -> str:
    """How a container ended: its exit code, its reason and its last words."""
    text = f"container {container.name} exited with code {container.exit_code}"
    if container.reason not in ("", "Error", "Completed"):
        text += f" ({container.reason})"
    words = container.message.replace("\n", " | ")
    return f"{text}: {words[-_TAIL:]}" if words else text


def last_failure(pods: Sequence[PodView]) -> str:
    """How the last of `pods` to fail did so, or nothing."""
    for pod in reversed(pods):
        bad = [c for c in pod.containers if c.exit_code not in (None, 0)]
        if bad:
            return ending(bad[-1])
        if pod.phase == "Failed":
            return ": ".join(text for text in (pod.reason, pod.message) if text) or "the pod failed"
    return ""


def job_failure(job: JobView, pods: Sequence[PodView]) -> str:
    """Why a Job failed."""
    own = ": ".join(text for text in (job.reason, job.message) if text)
    return bounded("; ".join(text for text in (last_failure(pods), own) if text) or "no reason was given")


def verdict(pod: PodView) -> str:
    """What a check has against the node, in its own words; where it has none, why its pod failed."""
    for container in pod.containers:
        code, words = container.exit_code or 0, container.message.replace("\n", " | ")
        if 0 < code < _NOT_ITS_OWN and words and not pod.reason and container.reason in ("", "Error"):
            return bounded(words[-_TAIL:])
    return pod_failure(pod)


def pod_failure(pod: PodView) -> str:
    """Why a pod failed: its own reason, then what its containers said."""
    own = ": ".join(text for text in (pod.reason, pod.message) if text)
    said = last_failure([pod]) if any(c.exit_code not in (None, 0) for c in pod.containers) else ""
    return bounded("; ".join(text for text in (said, own) if text) or "the pod failed")


def holding_up(pods: Sequence[PodView], node: NodeView | None) -> str:
    """What keeps pods from running, while it lasts: an image that cannot be pulled, a node that is away."""
    if node is not None and not node.ready:
        return "the node is not Ready" + (f": {node.ready_reason}" if node.ready_reason else "")
    for pod in pods:
        for container in pod.containers:
            if container.waiting:
                crashed = container.exit_code not in (None, 0)
                after = f" ({ending(container)})" if crashed else ""
                return f"container {container.name} is waiting: {container.waiting}{after}"
    return ""
