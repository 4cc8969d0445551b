"""What the containers of an operation's pods do, as their programs do it on a real machine.

The check scripts, the command with its sentinel, and the reboot program (`kairos_operator.reboot.program`), step by
step, so that a machine can lose power between any two of them. The journal and the truth are written here.
"""

from __future__ import annotations

from typing import Any

from kairos_operator.api.names import (
    ANNOTATION_REBOOT_BOOT_ID,
    ANNOTATION_REBOOT_STATE,
    LABEL_POSTFLIGHT,
    LABEL_PREFLIGHT,
    LABEL_REBOOT,
)
from kairos_operator.api.resources import PODS
from tests.sim.cluster import Object
from tests.sim.podrun import Program, Run

FOREVER = 1e9
REBOOT_DELAY = 5.0
PATIENCE = 600.0


def program_of(run: Run) -> Program:
    """What the containers of a pod do."""
    labels = run.pod["metadata"].get("labels") or {}
    if LABEL_PREFLIGHT in labels:
        return _check(run, run.machine.temper.preflight, "preflight")
    if LABEL_POSTFLIGHT in labels:
        return _check(run, run.machine.temper.postflight, "postflight")
    if LABEL_REBOOT in labels:
        return _Rebooter(run).program()
    return _command(run)


def user_program(run: Run) -> Program:
    """A user's pod runs until it is told to end."""
    run.started = True
    run.tell(run.status("Running"))
    yield FOREVER


def _note(run: Run, what: str, why: str = "") -> None:
    cluster = run.machine.cluster
    cluster.journal.note(cluster.now, run.machine.actor, run.machine.name, what, why)


def _pause(run: Run, most: float) -> float:
    return 0.05 + run.machine.rng.random() * most * run.machine.temper.slowness


def _check(run: Run, verdict: str, role: str) -> Program:
    truth = run.machine.truth
    run.started = True
    run.tell(run.status("Running"))
    yield _pause(run, 3.0)
    if verdict == "hang":
        yield FOREVER
    if verdict == "fail":
        truth.excuse(run.machine.name, f"the {role} failed")
        _note(run, f"the {role} fails", run.name)
        run.exit = run.status("Failed", exit_code=1, message=f"the {role} says no")
        if run.pod["spec"]["restartPolicy"] == "OnFailure":
            run.exit = None
            run.tell(run.status("Running", exit_code=1, message=f"the {role} says no"))
            yield FOREVER
    else:
        message = "node is already at v1" if verdict == "skip" else ""
        truth.checked(run.pod, role, skipped=bool(message))
        _note(run, f"the {role} passes" if not message else f"the {role} finds nothing to do", run.name)
        run.exit = run.status("Succeeded", exit_code=0, message=message)
    yield _pause(run, 0.5)
    run.end(run.exit or {})


def _command(run: Run) -> Program:
    machine, truth = run.machine, run.machine.truth
    run.started = True
    attempt = truth.command_started(run.pod, machine.name)
    _note(run, "the command starts", f"{run.name}, attempt {attempt}")
    run.tell(run.status("Running"))
    yield _pause(run, 6.0)
    if machine.temper.hangs and attempt == 1:
        truth.excuse(machine.name, "the command hangs")
        yield FOREVER
    if machine.temper.fails < 0 or attempt <= machine.temper.fails:
        truth.excuse(machine.name, "the command failed")
        _note(run, "the command fails", run.name)
        run.exit = run.status("Failed", exit_code=1, message="boom")
        yield _pause(run, 0.5)
        run.end(run.exit)
        return
    truth.command_succeeded(run.pod, machine.name)
    _note(run, "the command succeeds", run.name)
    if run.pod["spec"].get("initContainers"):
        yield _pause(run, 0.5)
        sentinel = run.pod["spec"]["containers"][0]["command"][-1]
        machine.wrote(sentinel, "done")
    run.exit = run.status("Succeeded", exit_code=0)
    yield _pause(run, 0.7)
    run.end(run.exit)


class _Rebooter:
    """The program in the reboot pod."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.machine = run.machine
        env = {one["name"]: one["value"] for one in run.pod["spec"]["containers"][0]["env"]}
        self.job = env["JOB_NAME"]
        self.marker = f"{self.job}.rebooting"

    def program(self) -> Program:
        """One run of the program after another, as `OnFailure` has it."""
        run, files = self.run, self.machine.files
        run.started = True
        run.tell(run.status("Running"))
        yield 0.3
        pod = yield from self._pod()
        recorded = pod["metadata"].get("annotations") or {}
        state = recorded.get(ANNOTATION_REBOOT_STATE, "")
        if state.startswith("failed"):
            yield from self._ends_failed(state)
        if state == "completed":
            if recorded.get(ANNOTATION_REBOOT_BOOT_ID) != self.machine.boot_id:
                self._ends_back()
                return
            yield from self._heeds_its_end(pod)
        else:
            while self.marker not in files and self.job not in files:
                yield None
            marked = files.get(self.marker)
            if marked is not None and marked != self.machine.boot_id:
                yield from self._record("completed", marked)
                self._ends_back()
                return
            yield from self._heeds_its_end((yield from self._pod()))
            files[self.marker] = self.machine.boot_id
            yield 0.02
            files.pop(self.job, None)
            yield 0.02
            stored = yield from self._record("completed", self.machine.boot_id)
            yield from self._heeds_its_end(stored)
        yield from self._reboots()

    def _pod(self) -> Any:
        """The pod, however long it takes to be told of it."""
        while True:
            pod = self.machine.pod(self.run.namespace, self.run.name, self.run.uid)
            if self.machine.connected and pod is not None:
                return pod
            yield 2.0

    def _heeds_its_end(self, pod: Object) -> Any:
        """Nothing is rebooted from a pod that is being deleted: it waits for its kubelet to hear of that."""
        if "deletionTimestamp" in pod["metadata"]:
            yield FOREVER

    def _record(self, state: str, boot_id: str | None) -> Any:
        """Write the annotations, however long that takes; returns the pod."""
        run = self.run
        annotations = {ANNOTATION_REBOOT_STATE: state}
        if boot_id is not None:
            annotations[ANNOTATION_REBOOT_BOOT_ID] = boot_id
        body = {"metadata": {"annotations": annotations}}
        yield from self._pod()
        self.machine.cluster.attempt(
            f"reboot/{self.machine.name}", lambda store: store.patch(PODS, run.name, body, run.namespace)
        )
        pod = yield from self._pod()
        yield 0.05
        return pod

    def _reboots(self) -> Any:
        machine, temper = self.machine, self.machine.temper
        yield REBOOT_DELAY
        if temper.reboot == "refused":
            machine.truth.excuse(machine.name, "the reboot was refused")
            yield from self._record("failed: reboot: not permitted", None)
            yield from self._ends_failed("failed: reboot: not permitted")
        if temper.reboot == "stays-up":
            machine.truth.excuse(machine.name, "the node stays up")
            yield PATIENCE
            yield from self._record("failed: the node was still up", None)
            yield from self._ends_failed("failed: the node was still up")
        machine.truth.rebooted(self.run.pod, machine.name, self.job)
        _note(self.run, "reboots the node", self.run.name)
        seconds = (
            float("inf")
            if temper.reboot == "never-returns"
            else 3.0 + 30 * machine.rng.random() * temper.slowness
        )
        machine.cluster.timeline.after(0.0, lambda: machine.fail(seconds, "rebooted by the operation"))
        yield FOREVER

    def _ends_failed(self, state: str) -> Any:
        self.machine.files.pop(self.job, None)
        self.machine.files.pop(self.marker, None)
        message = state.removeprefix("failed: ")
        while True:  # started again and again: it fails at once each time
            self.run.tell(self.run.status("Running", exit_code=1, message=message))
            yield FOREVER

    def _ends_back(self) -> None:
        self.machine.files.pop(self.job, None)
        self.machine.files.pop(self.marker, None)
        _note(self.run, "sees that the node came back", self.run.name)
        self.run.end(self.run.status("Succeeded", exit_code=0))
