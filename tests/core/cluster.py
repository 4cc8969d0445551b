"""A minimal cluster on plain facts: it acts one notch a tick, as the kubelet and the Job controller would.

Check pods give their verdicts, Jobs end, reboot pods reboot their node, evicted pods go.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import Role
from kairos_operator.core.actions import ClaimNode, ReleaseNode
from tests.core.world import at, ended


@dataclass(frozen=True)
class Check:
    """How a check pod ends."""

    message: str = ""
    fails: bool = False


@dataclass
class Cluster:
    """Nodes, Jobs and pods; what the tests say about how they end; and the story so far."""

    nodes: dict[str, NodeView]
    checks: dict[tuple[str, str], Check] = field(default_factory=dict)  # by role and node
    job_failures: dict[str, str] = field(default_factory=dict)  # by node: what the failed command said
    pods: dict[str, PodView] = field(default_factory=dict)  # by path
    jobs: dict[str, JobView] = field(default_factory=dict)
    seconds: float = 0
    story: list[str] = field(default_factory=list)
    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(2))

    def tell(self, who: str, what: str) -> None:
        """One line of the story."""
        self.story.append(f"{self.seconds:4.0f} s  {who:<8} {what}")

    def remove(self, *names: str) -> None:
        """Jobs or pods are deleted, at once."""
        for name in names:
            self.jobs.pop(name, None)
        for path in [path for path, pod in self.pods.items() if pod.name in names]:
            del self.pods[path]

    def claim(self, action: ClaimNode) -> None:
        """A node is claimed."""
        view = self.nodes[action.node]
        assert view.resource_version == action.resource_version
        claimed = replace(view, claimed_by=str(action.claim), resource_version=str(next(self.versions)))
        if action.cordon:
            claimed = replace(claimed, cordoned_by=str(action.claim), unschedulable=True)
        self.nodes[action.node] = claimed

    def release(self, action: ReleaseNode) -> None:
        """A claim is taken off a node."""
        view = self.nodes[action.node]
        assert view.resource_version == action.resource_version
        if view.claimed_by == str(action.claim):
            view = replace(view, claimed_by="")
        if action.uncordon:
            assert view.cordoned_by == str(action.claim), "a cordon of somebody else is lifted"
            view = replace(view, cordoned_by="", unschedulable=False)
        self.nodes[action.node] = replace(view, resource_version=str(next(self.versions)))

    def act(self) -> None:
        """One notch of everything that moves by itself."""
        for path, pod in list(self.pods.items()):
            if pod.deleting_since:
                self.tell("cluster", f"pod {path} has ended")
                del self.pods[path]
            elif pod.owner and pod.owner.kind == "NodeOp" and not pod.finished:
                self._run_own(path, pod)
        for job in [job for job in self.jobs.values() if not (job.complete or job.failed)]:
            if self.nodes.get(job.node) is not None:
                self._run_job(job)

    def _run_own(self, path: str, pod: PodView) -> None:
        role = role_of(pod)
        if role is Role.REBOOT:
            self._reboot(path, pod)
            return
        check = self.checks.get((role.value, pod.operation_node), Check())
        code, phase = (1, "Failed") if check.fails else (0, "Succeeded")
        self.pods[path] = replace(pod, phase=phase, containers=(ended(code, check.message, role.value),))
        said = f" and says: {check.message}" if check.message else ""
        self.tell("cluster", f"{role.value} on {pod.operation_node} {'fails' if code else 'passes'}{said}")

    def _run_job(self, job: JobView) -> None:
        words = self.job_failures.get(job.node)
        if words is None:
            self.jobs[job.name] = replace(job, complete=True)
            self.tell("cluster", f"Job on {job.node} is complete")
            return
        failed = replace(job, failed=True, reason="BackoffLimitExceeded", message=words)
        self.jobs[job.name] = failed
        self.tell("cluster", f"Job on {job.node} fails: {words}")

    def _reboot(self, path: str, pod: PodView) -> None:
        view = self.nodes[pod.operation_node]
        jobs = [job for job in self.jobs.values() if job.node == view.name]
        if not pod.reboot_state and jobs and jobs[0].complete:
            self.pods[path] = replace(
                pod, phase="Running", reboot_state="completed", reboot_boot_id=view.boot_id
            )
            self.nodes[view.name] = replace(view, ready=False, ready_since=at(self.seconds))
            self.tell("cluster", f"{view.name} goes down")
        elif pod.reboot_state == "completed":
            self.pods[path] = replace(pod, phase="Succeeded")
            boot = f"{view.boot_id.rpartition('-')[0]}-{int(view.boot_id.rpartition('-')[2]) + 1}"
            self.nodes[view.name] = replace(view, ready=True, ready_since=at(self.seconds), boot_id=boot)
            self.tell("cluster", f"{view.name} is up again")


def role_of(pod: PodView) -> Role:
    """What one of the operator's own pods is for."""
    marks = {f"kairos.io/{role.value}": role for role in Role if role.value}
    return next(role for mark, role in marks.items() if mark in (pod.labels or ()))
