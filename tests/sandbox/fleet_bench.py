"""A bench for the models alone: one kubelet, a dictionary in place of the API server, a clock that jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sandbox.fleet import Journal, Kubelet, NodeSpec, modelled_programs
from tests.sandbox.fleet.disk import MemoryDisk
from tests.sandbox.fleet.effects import (
    AnnotatePod,
    DeletePod,
    NodeEffect,
    PatchNodeStatus,
    PatchPodStatus,
    RunProgram,
    StopProgram,
)
from tests.sandbox.fleet.kubelet import Choose

START = datetime(2026, 1, 1, tzinfo=UTC)


class Bench:
    """Drives one node; every write succeeds at once unless `refusing` is set."""

    def __init__(self, spec: NodeSpec, choose: Choose | None = None) -> None:
        self.now = START
        self.journal = Journal()
        disk = MemoryDisk(spec.name, spec.release)
        self.kubelet = Kubelet(spec, 1, disk, choose or modelled_programs(), self.journal)
        self.pods: dict[str, dict[str, Any]] = {}
        self.node: dict[str, Any] = {"status": self.kubelet.status(self.now)}
        self.phases: list[str] = []
        self.ran: list[RunProgram] = []
        self.stopped: list[StopProgram] = []
        self.refusing = False

    def bind(self, spec: dict[str, Any], name: str = "pod", **metadata: Any) -> str:
        """A pod appears on the node; its UID is its name."""
        meta = {"name": name, "namespace": "default", "uid": name, **metadata}
        self.pods[name] = {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}}
        self.show(name)
        return name

    def show(self, name: str) -> None:
        """The kubelet sees the pod as it is now."""
        self.kubelet.see(self.pods[name], self.now)

    def delete(self, name: str, grace: int = 30) -> None:
        """Somebody deletes the pod."""
        self.pods[name]["metadata"] |= {
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": grace,
        }
        self.show(name)

    def run(self, seconds: float) -> None:
        """Lets that much time pass, in jumps from one due time to the next."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(10_000):
            due = self.kubelet.due(self.now)
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            for effect in self.kubelet.step(self.now):
                self._apply(effect)
        raise AssertionError("the model does not come to rest")

    def status(self, name: str = "pod") -> dict[str, Any]:
        status: dict[str, Any] = self.pods[name]["status"]
        return status

    def container(self, name: str, pod: str = "pod") -> dict[str, Any]:
        """The status of one container."""
        found = [*self.status(pod).get("initContainerStatuses", ()), *self.status(pod)["containerStatuses"]]
        return next(one for one in found if one["name"] == name)

    def condition(self, kind: str) -> str:
        """The status of one of the Node's conditions."""
        return str(next(one["status"] for one in self.node["status"]["conditions"] if one["type"] == kind))

    def _apply(self, effect: NodeEffect) -> None:
        if self.refusing:
            self.kubelet.answer(effect, False)
            self.now += timedelta(milliseconds=300)
            return
        match effect:
            case PatchPodStatus(_, name, _, status):
                if name in self.pods:
                    self.pods[name] = {**self.pods[name], "status": dict(status)}
                    self.phases.append(str(status["phase"]))
            case AnnotatePod(_, name, _, annotations):
                self.pods[name]["metadata"].setdefault("annotations", {}).update(annotations)
            case DeletePod(_, name):
                self.pods.pop(name, None)
                self.kubelet.gone(name)
            case PatchNodeStatus(_, status):
                self.node["status"] = dict(status)
            case RunProgram():
                self.ran.append(effect)
            case StopProgram():
                self.stopped.append(effect)
        self.kubelet.answer(effect, True)
