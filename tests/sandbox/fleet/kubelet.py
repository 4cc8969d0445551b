"""One simulated node: its pods, its power, its Node object; pure, on the clock that `step` is given.

Rules
- The driver says what it saw (`see`, `gone`), what ended (`ended`) and how its writes went (`answer`), and calls
  `step` at `due`. Everything the node does comes back as effects, in the order in which they are to be done.
- A node that is down does nothing and says nothing. Its disk and its pods' objects are all that survives.
- The Node shows the new bootID before it is Ready again, as kubelets do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from tests.sandbox.fleet.container import Container
from tests.sandbox.fleet.disk import MemoryDisk
from tests.sandbox.fleet.effects import (
    AnnotatePod,
    DeletePod,
    NodeEffect,
    Object,
    PatchNodeStatus,
    PatchPodStatus,
    Program,
    RunId,
)
from tests.sandbox.fleet.journal import Event, Journal, Record
from tests.sandbox.fleet.nodestatus import node_object, node_status
from tests.sandbox.fleet.podrun import PodRun
from tests.sandbox.fleet.spec import NodeSpec
from tests.sandbox.fleet.steps import Exit, Steps

Choose = Callable[["Kubelet", PodRun, Container], Program | Steps | str]
Power = Literal["up", "down", "off"]


class Kubelet:
    """The model of one node. `spec` may be replaced at any time; it counts from then on."""

    def __init__(
        self,
        spec: NodeSpec,
        number: int,
        disk: MemoryDisk,
        choose: Choose,
        journal: Journal,
        speed: float = 1.0,
    ) -> None:
        self.spec = spec
        self.number = number
        self.disk = disk
        self.journal = journal
        self.speed = speed
        self.power: Power = "up"
        self.ready = True
        self.pods: dict[str, PodRun] = {}
        self.rule_uses: dict[int, int] = {}
        self._choose = choose
        self._effects: list[NodeEffect] = []
        self._node_dirty = False
        self._boots_at: datetime | None = None
        self._ready_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    def see(self, pod: Object, now: datetime) -> None:
        """The API server shows this pod, bound to this node."""
        uid = pod["metadata"]["uid"]
        if uid in self.pods:
            self.pods[uid].pod = pod
        elif (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            self.pods[uid] = PodRun(pod, self, now)
            self.note_phase(self.pods[uid], now)
        elif "deletionTimestamp" in pod["metadata"]:
            self._effects.append(DeletePod(pod["metadata"]["namespace"], pod["metadata"]["name"], uid))

    def gone(self, uid: str) -> None:
        """The API server has no such pod any more."""
        run = self.pods.pop(uid, None)
        if run is not None:
            run.abandon()

    def ended(self, run_id: RunId, result: Exit, now: datetime) -> None:
        """A program that ran for real has ended. What dies with its node is not seen to end: it is lost."""
        run = self.pods.get(run_id.pod_uid) if self.power == "up" else None
        container = run and next((one for one in run.running if one.run_id(run.uid) == run_id), None)
        if run is not None and container:
            run.ended(container, result, now)

    def answer(self, effect: NodeEffect, ok: bool) -> None:
        """Whether the effect took place; one that did not is asked for again by the next step."""
        if isinstance(effect, PatchNodeStatus):
            self._node_dirty |= not ok
            return
        if not isinstance(effect, PatchPodStatus | AnnotatePod | DeletePod):
            return
        run = self.pods.get(effect.uid)
        if run is None:
            return
        match effect:
            case PatchPodStatus():
                run.dirty |= not ok
            case DeletePod():
                run.removal_asked &= ok
            case AnnotatePod(run=run_id) if ok:
                for container in run.running:
                    if container.run_id(run.uid) == run_id:
                        container.waits_for_answer = False
            case AnnotatePod():
                self._effects.append(effect)

    def step(self, now: datetime) -> list[NodeEffect]:
        """Does what is due and returns what is to be written or run."""
        if self._boots_at is not None and now >= self._boots_at:
            self._boot(now)
        if self._ready_at is not None and now >= self._ready_at:
            self._ready_at, self.ready, self._node_dirty = None, True, True
            self._note(now, "ready")
        if self.power == "up":
            for run in list(self.pods.values()):
                if self.power == "up":
                    run.step(now)
        if self._node_dirty:
            self._node_dirty = False
            self._effects.append(PatchNodeStatus(self.name, self.status(now)))
        effects, self._effects = self._effects, []
        return effects

    def due(self, now: datetime) -> datetime | None:
        """When `step` has something to do again, if nothing else happens; a past time is now."""
        if self._effects or self._node_dirty:
            return now
        times = [time for time in (self._boots_at, self._ready_at) if time]
        if self.power == "up":
            times += [time for run in self.pods.values() if (time := run.due(now))]
        return min(times, default=None)

    def request_reboot(self, now: datetime) -> None:
        """The node goes down with all that runs on it; it comes back as its spec says."""
        reboot = self.spec.reboot
        self._go_down(now)
        if reboot.comes_back:
            self._boots_at = now + timedelta(seconds=reboot.seconds / self.speed)

    def power_off(self, now: datetime) -> None:
        """The node goes down and stays down until `power_on`."""
        self._go_down(now)

    def power_on(self, now: datetime) -> None:
        """A node that is down boots, whatever its spec says."""
        if self.power == "down":
            self._boots_at = now

    def status(self, now: datetime) -> dict[str, Any]:
        """The Node's status now."""
        reason = "" if self.ready else "starting" if self.power == "up" else "shutdown"
        return node_status(self.spec, self.number, self.disk, reason, now)

    def node(self, now: datetime) -> dict[str, Any]:
        """The Node object to register, without its status."""
        return node_object(self.spec, self.number)

    # What the pods ask of their node.

    def choose(self, run: PodRun, container: Container) -> Program | Steps | str:
        return self._choose(self, run, container)

    def emit(self, effect: NodeEffect) -> None:
        self._effects.append(effect)

    def note_start(self, run: PodRun, container: Container, now: datetime) -> None:
        self._note(now, "start", run, container)

    def note_end(self, run: PodRun, container: Container, now: datetime) -> None:
        self._note(now, "end", run, container)

    def note_phase(self, run: PodRun, now: datetime) -> None:
        self._note(now, "pod", run, detail=run.phase)

    def _go_down(self, now: datetime) -> None:
        if self.power != "up":
            return
        self.power, self.ready, self._node_dirty = "down", False, True
        self._boots_at = self._ready_at = None
        for run in self.pods.values():
            run.abandon()
        self._note(now, "reboot", detail=self.disk.running.triple)

    def _boot(self, now: datetime) -> None:
        reboot = self.spec.reboot
        self.disk.boot(fall_back=reboot.falls_back, same_boot_id=reboot.same_boot_id)
        self.power, self._boots_at, self._node_dirty = "up", None, True
        self._ready_at = now + timedelta(seconds=reboot.ready_after / self.speed)
        self._note(now, "boot", detail=self.disk.running.triple)
        for run in self.pods.values():
            run.after_boot(now)

    def _note(
        self,
        now: datetime,
        event: Event,
        run: PodRun | None = None,
        container: Container | None = None,
        detail: str = "",
    ) -> None:
        record = Record(now, self.name, event, detail=detail)
        if run is not None:
            namespace, name = run.key
            record = Record(now, self.name, event, namespace, name, detail=detail)
        if run is not None and container is not None:
            ended = container.ended
            record = Record(
                now,
                self.name,
                event,
                namespace,
                name,
                container.name,
                container.image,
                container.program,
                ended.exit_code if ended else None,
                container.real,
                ended.message if ended else "",
            )
        self.journal.write(record)
