"""One pod on one simulated node: the kubelet's part of its life, as a state machine on a given clock.

    bound -> init containers one by one -> containers -> Succeeded | Failed -> removed when it is deleted

Rules (Kubernetes, pod lifecycle): `Never` fails with its first failed init container or once all containers have
ended; `OnFailure` and `Always` start an ended container again; a pod past activeDeadlineSeconds fails with
`DeadlineExceeded`; a deleted pod gets the end of its containers first and is then removed. After a reboot what
ran counts as ended with 255: `Never` fails, the others start from the first init container on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.sandbox.fleet.container import Container
from tests.sandbox.fleet.effects import (
    AnnotatePod,
    DeletePod,
    Object,
    PatchPodStatus,
    Program,
    RunProgram,
    StopProgram,
)
from tests.sandbox.fleet.host import Host
from tests.sandbox.fleet.podstatus import pod_status
from tests.sandbox.fleet.steps import Annotate, Exit, RebootNode, Sleep

FINAL = frozenset({"Succeeded", "Failed"})
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
PULL_AGAIN = 10.0
KILLED, ENDED_BY_SIGNAL, LOST = 137, 143, 255


class PodRun:
    """The kubelet's state of one pod."""

    def __init__(self, pod: Object, host: Host, now: datetime) -> None:
        self.pod = pod
        self.host = host
        self.uid = str(pod["metadata"]["uid"])
        self.started_at = now
        self.phase = "Pending"
        self.reason = self.message = ""
        self.containers = [Container(one, True) for one in pod["spec"].get("initContainers") or ()]
        self.containers += [Container(one, False) for one in pod["spec"].get("containers") or ()]
        self.dirty = True
        self.removal_asked = False
        self._begins = now + self._after(host.spec.start_seconds)
        self._begun = False
        self._stops: datetime | None = None
        for container in [] if self._inits() else self.containers:
            container.waiting = ("ContainerCreating", "")

    @property
    def key(self) -> tuple[str, str]:
        return self.pod["metadata"]["namespace"], self.pod["metadata"]["name"]

    @property
    def policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy") or "Always")

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.pod["metadata"]

    @property
    def final(self) -> bool:
        return self.phase in FINAL

    @property
    def running(self) -> list[Container]:
        return [one for one in self.containers if one.running]

    def step(self, now: datetime) -> None:
        """Does what is due, and asks for the writes that follow."""
        if not self.final:
            if self.deleting:
                self._stop(now)
            elif self._past_deadline(now):
                self._end_all(now, KILLED)
                self.reason, self.message = "DeadlineExceeded", DEADLINE_MESSAGE
                self._reach("Failed", now)
            else:
                for container in self.running:
                    self._drive(container, now)
                self._start_due(now)
            self._conclude(now)
        if self.dirty:
            self.dirty = False
            self.host.emit(PatchPodStatus(*self.key, self.uid, pod_status(self)))
        if self.deleting and (self.final or not self.running) and not self.removal_asked:
            self.removal_asked = True
            self.host.emit(DeletePod(*self.key, self.uid))

    def due(self, now: datetime) -> datetime | None:
        """When `step` has something to do again, if nothing else happens."""
        if self.dirty or (self.deleting and not self.removal_asked and (self._stops is None or self.final)):
            return now
        if self.final:
            return None
        times = [one.wakes for one in self.running if one.wakes and not one.waits_for_answer]
        times += [time for time in (self._stops, self._deadline()) if time]
        if not self._begun:
            times.append(self._begins)
        elif not self.deleting:
            times += [one.restart_at for one in self._next_to_start() if one.restart_at]
        return min(times, default=None)

    def ended(self, container: Container, result: Exit, now: datetime, reason: str = "") -> None:
        """A run has ended, by itself or not."""
        container.finish(now, result, reason)
        self.host.note_end(self, container, now)
        self.dirty = True
        again = self.policy != "Never" and not (self.policy == "OnFailure" and result.code == 0)
        if again and not self.deleting and not (container.init and result.code == 0):
            pause = container.back_off(self.host.speed)
            container.restart_at, container.backing_off = now + pause, bool(pause)

    def find(self, container: str) -> Container | None:
        """The container of that name, or the last one for an empty name."""
        return next(
            (one for one in reversed(self.containers) if not container or one.name == container), None
        )

    def abandon(self) -> None:
        """The pod is gone or its node lost power: what runs for real is killed, without a word to anybody."""
        for container in self.running:
            if container.steps is None:
                self.host.emit(StopProgram(container.run_id(self.uid), 0))

    def after_boot(self, now: datetime) -> None:
        """What the kubelet finds when the node is up again."""
        if self.final:
            return
        lost = self.running
        for container in lost:
            self.ended(container, Exit(LOST), now, "Unknown")
        self._begins = now + self._after(self.host.spec.start_seconds)
        self._begun = False
        if lost and self.policy != "Never":
            for container in self.containers:
                if container.ended is not None and (container.init or container in lost):
                    container.restart_at, container.backing_off = self._begins, False

    def _start_due(self, now: datetime) -> None:
        if now < self._begins:
            return
        self._begun = True
        for container in self._next_to_start():
            self._start(container, now)

    def _next_to_start(self) -> list[Container]:
        """The first init container that still has to succeed, or else all containers that are no init ones."""
        for container in self._inits():
            if not container.succeeded or container.restart_at is not None:
                return [container]
        return self._mains()

    def _start(self, container: Container, now: datetime) -> None:
        """Starts a container that has not run, or whose restart is due."""
        if container.running or (container.ended and container.restart_at is None):
            return
        if container.restart_at is not None and now < container.restart_at:
            return
        chosen = self.host.choose(self, container)
        if isinstance(chosen, str):
            self.dirty |= container.cannot_start(chosen)
            container.restart_at = now + self._after(PULL_AGAIN)
            return
        container.begin(now, None if isinstance(chosen, Program) else chosen)
        self.dirty = True
        self.host.note_start(self, container, now)
        if isinstance(chosen, Program):
            run = container.run_id(self.uid)
            self.host.emit(RunProgram(self.host.spec.name, run, chosen, self.pod, container.spec))
        else:
            self._drive(container, now)

    def _drive(self, container: Container, now: datetime) -> None:
        """Lets a modelled program go on as far as it can by now."""
        while (step := container.next_step(now)) is not None:
            match step:
                case Exit():
                    self.ended(container, step, now)
                case Sleep(seconds):
                    container.wakes = now + self._after(seconds)
                case Annotate(annotations):
                    container.waits_for_answer = True
                    run = container.run_id(self.uid)
                    self.host.emit(AnnotatePod(*self.key, self.uid, annotations, run))
                case RebootNode():
                    container.wakes = None
                    self.host.request_reboot(now)

    def _stop(self, now: datetime) -> None:
        if self._stops is None:
            grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            self._stops = now + self._after(min(grace, self.host.spec.stop_seconds))
            for container in self.running:
                if container.steps is None:
                    self.host.emit(StopProgram(container.run_id(self.uid), grace / self.host.speed))
        if now >= self._stops:
            self._end_all(now, ENDED_BY_SIGNAL)
            self._stops = now

    def _end_all(self, now: datetime, code: int) -> None:
        for container in self.running:
            if container.steps is None:
                self.host.emit(StopProgram(container.run_id(self.uid), 0))
            self.ended(container, Exit(code), now)
        for container in self.containers:
            container.restart_at = None

    def _conclude(self, now: datetime) -> None:
        inits, mains = self._inits(), self._mains()
        broken = [one for one in inits if one.ended and not one.succeeded]
        over = all(one.ended and one.restart_at is None for one in mains)
        if self.final:
            return
        if self.deleting and not self.running:
            self._reach("Succeeded" if over and all(one.succeeded for one in mains) else "Failed", now)
        elif self.policy == "Never" and broken:
            self._reach("Failed", now)
        elif over and not any(one.restart_at for one in inits):
            self._reach("Succeeded" if all(one.succeeded for one in mains) else "Failed", now)
        elif any(one.started for one in mains):
            self._reach("Running", now)

    def _reach(self, phase: str, now: datetime) -> None:
        if phase != self.phase:
            self.phase, self.dirty = phase, True
            self.host.note_phase(self, now)

    def _deadline(self) -> datetime | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        return self.started_at + timedelta(seconds=seconds) if seconds else None

    def _past_deadline(self, now: datetime) -> bool:
        deadline = self._deadline()
        return deadline is not None and now >= deadline

    def _inits(self) -> list[Container]:
        return [one for one in self.containers if one.init]

    def _mains(self) -> list[Container]:
        return [one for one in self.containers if not one.init]

    def _after(self, seconds: float) -> timedelta:
        return timedelta(seconds=seconds / self.host.speed)
