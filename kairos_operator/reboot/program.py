"""The course of a reboot, safe against being killed after any step.

    wait for the sentinel -> mark the boot -> remove the sentinel -> record in the pod -> reboot -> come back

Rules:
- No reboot without the Job's success (its sentinel), and none that is not recorded in the pod's annotations:
  state `completed` together with the boot id before the reboot.
- None in a pod that is being deleted: a node that was cut off may be given back, and be another's, before its kubelet
  hears of that. The pod is asked right before the marker, so that nothing is touched, and the answers to the record and
  to a restarted program's first question count too. After that only the node is needed, and the reboot is near. Then
  the program waits to be ended; what it may have left is for the pod that replaces this one.
- "Came back" is the fact that the node's boot id is another than the recorded one. A record with the present
  boot id means that the program ended before the reboot happened, so it is asked for again.
- A node whose boot id stays the same is asked three times at most: a boot id that the kernel shares with others, as
  in a container that plays a node, never changes, and rebooting for ever would not help.
- The marker file says the same to a pod that replaces this one and finds its own annotations empty.
- Errors of the API server and of the file system are repeated until they pass or the pod is deleted; the
  operator's deadline ends that. An error of the reboot itself is final: recorded as `failed: <reason>`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from kairos_operator.api.names import ANNOTATION_REBOOT_BOOT_ID, ANNOTATION_REBOOT_STATE

from . import host
from .files import JobFiles
from .pod import REPEATABLE, OwnPod, Seen
from .settings import Settings

COMPLETED = "completed"
FAILED = "failed: "
MAX_REQUESTS = 3
_LONGEST_PAUSE = 30
"""Between two attempts, in units of the first pause."""
_BOOT_ID_ATTEMPTS = 5
_Result = TypeVar("_Result")


def say(sentence: str) -> None:
    """One line of the container's log, at once."""
    print(sentence, flush=True)


@dataclass(frozen=True, slots=True)
class RebootProgram:
    """One run of the program in one container."""

    settings: Settings
    pod: OwnPod
    files: JobFiles

    def run(self) -> int:
        """The container's exit code: 0 if the node has been rebooted and is back, 1 if that failed."""
        pod = self._repeat("read the pod's annotations", self.pod.read)
        recorded = pod.annotations
        state = recorded.get(ANNOTATION_REBOOT_STATE, "")
        if state.startswith("failed"):
            return self._end_failed(state.removeprefix(FAILED))
        try:
            boot_id = self._boot_id()
            if state == COMPLETED:
                if recorded.get(ANNOTATION_REBOOT_BOOT_ID) != boot_id:
                    return self._end_back(boot_id)
                if pod.deleted:
                    self._wait_to_be_ended()
                say("The reboot is recorded, but the node is still in the same boot: rebooting again.")
            else:
                rebooted_from = self._wait_for_success(boot_id)
                if rebooted_from is not None:
                    say("An earlier pod of this Job has rebooted the node.")
                    self._record(COMPLETED, rebooted_from)
                    return self._end_back(boot_id)
                self._announce(boot_id)
            return self._reboot(boot_id)
        except host.HostError as error:
            return self._fail(f"{error}")

    def _boot_id(self) -> str:
        """The node's present boot id. Raises HostError after a few attempts."""
        for attempt in range(1, _BOOT_ID_ATTEMPTS):
            try:
                return host.read_boot_id()
            except host.HostError as error:
                say(f"Attempt {attempt}: {error}.")
                time.sleep(self.settings.poll * attempt)
        return host.read_boot_id()

    def _wait_for_success(self, boot_id: str) -> str | None:
        """Returns None once the node is to be rebooted, or the boot id from which it already has been."""
        say(f"Waiting for {self.files.sentinel}, the success of Job {self.settings.job_name}.")
        while True:
            marked = self._repeat("read the marker file", self.files.marked_boot_id)
            if marked is not None:
                return None if marked == boot_id else marked
            if self._repeat("look for the sentinel file", self.files.work_succeeded):
                return None
            time.sleep(self.settings.poll)

    def _announce(self, boot_id: str) -> None:
        """Leaves what must be known after the reboot. The marker comes first: it replaces the sentinel."""
        if self._repeat("look whether the pod is being deleted", self.pod.read).deleted:
            self._wait_to_be_ended()
        self._repeat("write the marker file", lambda: self.files.mark(boot_id))
        self._repeat("remove the sentinel file", self.files.remove_sentinel)
        if self._record(COMPLETED, boot_id).deleted:
            self._wait_to_be_ended()

    def _wait_to_be_ended(self) -> NoReturn:
        """Goes on until the kubelet hears that the pod is being deleted."""
        say("This pod is being deleted: the node is not rebooted.")
        while True:
            time.sleep(self.settings.poll)

    def _reboot(self, boot_id: str) -> int:
        """Reboots the node, unless that was tried often enough. Raises HostError if the node refuses or stays up."""
        if self._repeat("count the request", self.files.count_request) > MAX_REQUESTS:
            say(
                f"The node was asked {MAX_REQUESTS} times and is still in boot {boot_id}: leaving it as it is."
            )
            return 0
        say(f"The Job has succeeded. Rebooting in {self.settings.delay:g} seconds.")
        time.sleep(self.settings.delay)
        host.request_reboot(self.settings.patience)
        say("The node has accepted the reboot.")
        time.sleep(self.settings.patience)
        raise host.HostError(
            f"the node was still up {self.settings.patience:g} seconds after the reboot command"
        )

    def _record(self, state: str, boot_id: str | None = None) -> Seen:
        """Writes state and boot id into the pod's annotations, in one write, however long that takes."""
        annotations = {ANNOTATION_REBOOT_STATE: state}
        if boot_id is not None:
            annotations[ANNOTATION_REBOOT_BOOT_ID] = boot_id
        return self._repeat("write the pod's annotations", lambda: self.pod.annotate(annotations))

    def _fail(self, reason: str) -> int:
        self._record(FAILED + reason)
        return self._end_failed(reason)

    def _end_failed(self, reason: str) -> int:
        say(f"The reboot failed: {reason}.")
        try:
            self.settings.termination_log.write_text(reason, encoding="utf-8")
        except OSError as error:
            say(f"The termination message could not be written: {error}.")
        self._repeat("remove the marker file", self.files.remove_all)
        return 1

    def _end_back(self, boot_id: str) -> int:
        self._repeat("remove the marker file", self.files.remove_all)
        say(f"The node came back with boot id {boot_id}.")
        return 0

    def _repeat(self, what: str, call: Callable[[], _Result]) -> _Result:
        """The result of `call`, repeated with growing pauses while it fails with one of REPEATABLE."""
        pause = 1
        while True:
            try:
                return call()
            except REPEATABLE as error:
                seconds = self.settings.poll * pause
                say(f"Could not {what}: {error}. Trying again in {seconds:g} seconds.")
                time.sleep(seconds)
                pause = min(pause * 2, _LONGEST_PAUSE)
