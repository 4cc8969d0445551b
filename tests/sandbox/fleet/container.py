"""One container of a pod, as the kubelet knows it: waiting, running or ended, and what came before.

Rules (kubelet): the first restart comes at once, the next after 10 s and then twice as long each time, up to
5 min; a termination message has at most 4096 bytes, and is the end of the log where the container failed without
one and its policy is FallbackToLogsOnError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.sandbox.fleet.clock import stamp
from tests.sandbox.fleet.effects import Object, RunId
from tests.sandbox.fleet.steps import Exit, Step, Steps

FIRST_BACK_OFF = 10.0
LONGEST_BACK_OFF = 300.0
MESSAGE_BYTES = 4096
FALLBACK_LINES, FALLBACK_CHARACTERS = 80, 2048


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    exit_code: int
    reason: str
    message: str
    started: datetime
    finished: datetime

    def state(self) -> dict[str, Any]:
        """The ContainerState of the API."""
        told = {"message": self.message} if self.message else {}
        return {
            "terminated": {
                "exitCode": self.exit_code,
                "reason": self.reason,
                "startedAt": stamp(self.started),
                "finishedAt": stamp(self.finished),
                **told,
            }
        }


@dataclass(slots=True)
class Container:
    """The present and the last run of one container."""

    spec: Object
    init: bool
    attempt: int = 0
    started: datetime | None = None
    ended: Ended | None = None
    last: Ended | None = None
    steps: Steps | None = None
    """The modelled program, or None for one that runs for real."""
    wakes: datetime | None = None
    waits_for_answer: bool = False
    waiting: tuple[str, str] = ("PodInitializing", "")
    restart_at: datetime | None = None
    backing_off: bool = False
    logs: list[str] = field(default_factory=list)
    """What each run said, oldest first."""
    program: str = ""
    """Which of the operator's programs runs, or nothing."""
    real: bool = False
    """Whether it runs for real."""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def image(self) -> str:
        return str(self.spec.get("image", ""))

    @property
    def running(self) -> bool:
        return self.started is not None and self.ended is None

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.ended.exit_code == 0

    @property
    def waits_again(self) -> bool:
        """Whether it waits to be started again, so that the run that ended is the last one and not the present one."""
        return bool(self.ended is not None and self.restart_at and self.backing_off)

    def run_id(self, pod_uid: str) -> RunId:
        """The identity of the present run."""
        return RunId(pod_uid, self.name, self.attempt)

    def begin(self, now: datetime, steps: Steps | None) -> None:
        """A run starts; the one before becomes the last."""
        if self.ended is not None:
            self.last, self.ended = self.ended, None
            self.attempt += 1
        self.started, self.steps, self.wakes = now, steps, now if steps is not None else None
        self.waits_for_answer, self.restart_at = False, None

    def cannot_start(self, why: str) -> bool:
        """The image is not to be had. Whether that is news."""
        before = self.waiting
        self.waiting = ("ImagePullBackOff", f'Back-off pulling image "{self.image}": ErrImagePull: {why}')
        return self.waiting != before

    def next_step(self, now: datetime) -> Step | Exit | None:
        """What the modelled program does next, or None where it waits or the container runs something real."""
        if self.steps is None or self.wakes is None or self.waits_for_answer or self.wakes > now:
            return None
        try:
            return next(self.steps)
        except StopIteration as end:
            result: Exit = end.value
            return result

    def finish(self, now: datetime, result: Exit, reason: str = "") -> None:
        """The present run has ended."""
        assert self.started is not None
        message = result.message.encode()[:MESSAGE_BYTES].decode(errors="ignore")
        from_log = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and result.code != 0 and from_log:
            message = "\n".join(result.log.splitlines()[-FALLBACK_LINES:])[-FALLBACK_CHARACTERS:]
        reason = reason or ("Completed" if result.code == 0 else "Error")
        self.ended = Ended(result.code, reason, message, self.started, now)
        self.steps = self.wakes = None
        self.logs.append(result.log)

    def back_off(self, speed: float) -> timedelta:
        """How long the kubelet waits before it starts the container again."""
        if self.attempt == 0:
            return timedelta()
        seconds = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(self.attempt - 1, 10))
        return timedelta(seconds=seconds / speed)

    def status(self) -> dict[str, Any]:
        """The ContainerStatus of the API."""
        last = self.last
        if self.running:
            assert self.started is not None
            state: dict[str, Any] = {"running": {"startedAt": stamp(self.started)}}
        elif self.ended is not None and not self.waits_again:
            state = self.ended.state()
        elif self.ended is not None:
            last = self.ended
            text = f"back-off restarting failed container={self.name}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
        else:
            reason, message = self.waiting
            state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        ready = (self.running and not self.init) or (self.init and self.succeeded)
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "state": state,
            "lastState": last.state() if last else {},
            "ready": ready,
            "started": self.running,
            "restartCount": self.attempt,
        }
