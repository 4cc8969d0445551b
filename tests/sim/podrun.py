"""One pod on one machine: the kubelet's part of its life, driven by a program that says how long it waits.

A program is a generator: it yields seconds to wait, or None to wait until a file is written on the machine, and ends
by setting the run's exit. Losing power ends what runs: `Never` fails (unless the exit was known already), everything
else starts again after the boot. A deleted pod ends first and is removed then, if there is power to do so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from kairos_operator.api.base import moment, timestamp
from kairos_operator.api.resources import PODS
from tests.sim.cluster import Object
from tests.sim.machines import Machine

Program = Generator[float | None, None, None]
READY = [{"type": "Ready", "status": "True"}]


class Run:
    """The kubelet's state of one pod."""

    def __init__(self, pod: Object, machine: Machine, program: Callable[[Run], Program]) -> None:
        meta = pod["metadata"]
        self.pod = pod
        self.machine = machine
        self.namespace, self.name, self.uid = meta["namespace"], meta["name"], meta["uid"]
        self.started = False  # a container has run
        self.restarts = 0
        self.exit: dict[str, Any] | None = None  # the final status, once it is known
        self.over = False
        self._program_of = program
        self._program: Program | None = None
        self._waits = False
        self._turn = 0
        self._ending = False
        if machine.up:
            machine.later(0.1 + machine.rng.random() * machine.temper.slowness, self.resume)

    @property
    def journal_place(self) -> str:
        """Where the journal files what the pod does."""
        return self.machine.name

    def resume(self) -> None:
        """Start, or start again after a boot."""
        if self.over:
            return
        if self._ending:
            self._remove()
        elif self.exit is not None:
            self.tell(self.exit)
        elif self.started and self.pod["spec"]["restartPolicy"] == "Never":
            self.end(self.status("Failed", exit_code=255, reason="NodeRebooted"))
        else:
            self.restarts += self.started
            self._limit()
            self._program = self._program_of(self)
            self._advance()

    def end(self, status: dict[str, Any]) -> None:
        """All containers have ended for good."""
        self.exit = status
        self._program = None
        self.tell(status)

    def tell(self, status: dict[str, Any]) -> None:
        """Report the pod's status."""
        machine = self.machine

        def write() -> None:
            pod = machine.pod(self.namespace, self.name, self.uid)
            over = pod is not None and (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if pod is not None and not over:
                body = {"status": status}
                machine.cluster.attempt(
                    machine.actor,
                    lambda store: store.patch(PODS, self.name, body, self.namespace, subresource="status"),
                )

        machine.report(write)

    def status(
        self, phase: str, *, exit_code: int | None = None, message: str = "", reason: str = ""
    ) -> dict[str, Any]:
        """A pod status with one container that runs, or has ended with `exit_code`."""
        container = (self.pod["spec"].get("initContainers") or self.pod["spec"]["containers"])[0]["name"]
        key = "initContainerStatuses" if self.pod["spec"].get("initContainers") else "containerStatuses"
        state: dict[str, Any] = {"running": {}}
        if exit_code is not None:
            ended = {"exitCode": exit_code, "reason": reason or ("Completed" if not exit_code else "Error")}
            state = {"terminated": {**ended, "message": message} if message else ended}
        found: dict[str, Any] = {
            "phase": phase,
            "startTime": timestamp(self.machine.cluster.clock()),
            key: [{"name": container, "state": state, "restartCount": self.restarts}],
            "conditions": READY if phase == "Running" else [],
        }
        if phase == "Failed" and reason:
            found["reason"] = reason
        return found

    def poke(self) -> None:
        """A file was written: whoever waits for one looks within a second."""
        if self._waits:
            self._waits = False
            self._wait(self.machine.rng.random())

    def lost_power(self) -> None:
        """Everything that ran is gone; what had ended is known after the boot."""
        self._program = None
        self._waits = False
        self._turn += 1

    def deleted(self, pod: Object) -> None:
        """The pod is to end: within its grace period, or as soon as there is power."""
        if self._ending:
            return
        self._ending = True
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        seconds = min(grace, self.machine.truth.stubbornness(pod) or 0.2 + self.machine.rng.random())
        if self.machine.up:
            self.machine.later(seconds, self._remove)

    def forget(self) -> None:
        """The pod no longer exists."""
        self.over = True
        self._program = None
        self._turn += 1
        self.machine.runs.pop(self.uid, None)

    def _remove(self) -> None:
        self._program = None
        self._turn += 1
        machine = self.machine

        def write() -> None:
            machine.cluster.attempt(
                machine.actor,
                lambda store: store.delete(
                    PODS, self.name, self.namespace, uid=self.uid, grace_period_seconds=0
                ),
            )

        machine.report(write)

    def _limit(self) -> None:
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            return
        created = moment(self.pod["metadata"]["creationTimestamp"])
        assert created is not None
        left = deadline - (self.machine.cluster.clock() - created).total_seconds()
        self.machine.later(max(0.0, left), self._too_long)

    def _too_long(self) -> None:
        if self.exit is None and not self.over:
            self._turn += 1
            self.machine.truth.excuse(self.machine.name, "a pod took too long")
            self.end({**self.status("Failed", exit_code=137, reason="DeadlineExceeded")})

    def _advance(self) -> None:
        if self._program is None or self.over:
            return
        try:
            seconds = next(self._program)
        except StopIteration:
            return
        if seconds is None:
            self._waits = True
        else:
            self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        self._turn += 1
        turn = self._turn
        self.machine.later(seconds, lambda: self._advance() if turn == self._turn else None)
