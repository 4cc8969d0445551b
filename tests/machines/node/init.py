"""The init of a machine: process 1 of its PID namespace, with nothing of the box in sight.

Rules: it starts no service before the supervisor has proven that this machine reaches itself alone and says so;
SIGTERM is the order to reboot, and is followed by ending, which ends every process of the machine; it never calls
reboot(2). What it needs to know stands in /machine/machine.json. Python's standard library alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

MACHINE = Path("/machine")
CONTROL = MACHINE / "control"
SYSTEMS = Path("/var/lib/kairos")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CTR = ("ctr", "--namespace", "k8s.io", "images")
GO_TIMEOUT, CONTAINERD_TIMEOUT = 60.0, 90.0
REBOOTED = 129
"""What a PID namespace's init is seen to end with after reboot(2)."""


def say(sentence: str) -> None:
    print(f"init: {sentence}", flush=True)


def check_alone(box: dict[str, str]) -> None:
    """Ends this process if anything of the box could be reached from it."""
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in box}
    shared = [kind for kind in box if own[kind] == box[kind]]
    if os.getpid() != 1 or shared or os.path.ismount("/box"):
        sys.exit(f"init: refusing to start: pid {os.getpid()}, shared namespaces {shared}")


def reboot(_signal: int, _frame: FrameType | None) -> None:
    os._exit(REBOOTED)


def wait_for(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            sys.exit(f"init: {path} did not come in {seconds:g} s")
        time.sleep(0.05)


def take_boot_id() -> None:
    """The id that the supervisor drew for this boot takes the place of the box's."""
    new = Path("/run/boot_id")
    new.write_text((CONTROL / "go").read_text())
    subprocess.run(["mount", "--bind", new, BOOT_ID], check=True)


def boot_system() -> None:
    """Boots the active system: what this machine is, is what the active system's release file says."""
    shutil.copy(SYSTEMS / "active", "/etc/kairos-release")


def import_images() -> None:
    """Gives containerd the images that it has not got, each named after its archive's marker."""
    deadline = time.monotonic() + CONTAINERD_TIMEOUT
    while subprocess.run([*CTR, "ls", "-q"], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            sys.exit("init: containerd did not answer")
        time.sleep(0.2)
    known = SYSTEMS / "imported"
    known.mkdir(exist_ok=True)
    for archive in sorted((MACHINE / "images").glob("*.tar")):
        if not (known / archive.name).exists():
            subprocess.run([*CTR, "import", archive], check=True, stdout=subprocess.DEVNULL)
            (known / archive.name).touch()


def start(command: list[str]) -> subprocess.Popen[bytes]:
    say(f"starting {command[0]}")
    with (CONTROL / f"{Path(command[0]).name}.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def main() -> None:
    machine = json.loads((MACHINE / "machine.json").read_text())
    check_alone(machine["box"])
    signal.signal(signal.SIGTERM, reboot)
    (CONTROL / "assembled").touch()
    wait_for(CONTROL / "go", GO_TIMEOUT)
    take_boot_id()
    boot_system()
    containerd = ["containerd", "--config", "/machine/containerd.toml"]
    running = {start(containerd).pid: containerd}
    import_images()
    (CONTROL / "imported").touch()
    running[start(machine["kubelet"]).pid] = machine["kubelet"]
    while True:
        pid, status = os.wait()
        command = running.pop(pid, None)
        if command is not None:
            say(f"{command[0]} ended with status {status}")
            time.sleep(1)
            running[start(command).pid] = command


if __name__ == "__main__":
    main()
