"""One machine: its disk, its boots, and the supervisor that starts it again after each end.

Rules: a boot goes on only after `check_alone` has shown, by entering the machine and trying, that what is process 1
there is the machine's init and neither the box's nor the enclosure's. A machine that ends by itself comes back after
`DOWN_SECONDS`, as one does whose firmware starts it again; one that is stopped does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.controlplane.program import spawn
from tests.machines import cgroups, network
from tests.machines.enclosure import box_namespaces, check_enclosed, namespaces
from tests.machines.images import OLD_IMAGE, release_file

HERE = Path(__file__).parent / "node"
DOWN_SECONDS = 2.0
ASSEMBLE_TIMEOUT = 30.0
UNSHARE = [
    "unshare",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--mount",
    "--propagation",
    "private",
    "--uts",
    "--ipc",
    "--cgroup",
    "--",
]
Listener = Callable[[str, str, str], None]
"""Is told (machine, event, detail)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all machines of a run share."""

    run: str
    directory: Path
    root: Path
    images: Path
    kubelet: Path
    in_memory: bool
    """Whether what containerd and the kubelet write is kept in memory: quick to write, and gone with the enclosure."""


class Machine:
    """A machine named `name`. `start` returns at once; the node appears in the cluster when its kubelet is up."""

    def __init__(
        self, name: str, index: int, kubeconfig: str, ca: str, parts: Parts, listener: Listener
    ) -> None:
        self.name, self.index = name, index
        self.boot_ids: list[str] = []
        self.failure = ""
        self._parts, self._listener = parts, listener
        self.directory = parts.directory / name
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._supervisor = threading.Thread(target=self._supervise, name=f"machine {name}", daemon=True)
        self._write_disk(kubeconfig, ca)

    @property
    def log(self) -> Path:
        """What the init of this machine says."""
        return self.directory / "control" / "init.log"

    def file(self, path: str) -> Path:
        """A file of the machine's disk, where it was changed (its upper layer)."""
        return self.directory / "upper" / path.lstrip("/")

    def start(self) -> None:
        """Switches the machine on. Raises NotEnclosedError outside the enclosure."""
        check_enclosed()
        self._supervisor.start()

    def stop(self) -> None:
        """Ends the machine for good."""
        self._stopping.set()
        self._kill()
        if self._supervisor.ident is not None:
            self._supervisor.join(ASSEMBLE_TIMEOUT)
        if self._parts.in_memory:
            unmount = ["umount", "--lazy", str(self.directory / "data")]
            subprocess.run(unmount, check=False, capture_output=True, timeout=20)

    def power_cut(self) -> None:
        """Ends every process of the machine at once; the supervisor starts it again."""
        self._kill()

    def _kill(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _write_disk(self, kubeconfig: str, ca: str) -> None:
        for name in ("upper/machine/cni", "upper/etc", "upper/usr/sbin", "upper/var/lib/kairos"):
            (self.directory / name).mkdir(parents=True)
        for name in ("work", "root", "data", "control"):
            (self.directory / name).mkdir()
        if self._parts.in_memory:
            mount = ["mount", "-t", "tmpfs", "-o", "mode=755,size=4g,nr_inodes=0", "data"]
            subprocess.run([*mount, str(self.directory / "data")], check=True, timeout=20)
        kubelet = ["kubelet", "--config=/machine/kubelet.yaml", "--kubeconfig=/machine/kubeconfig"]
        kubelet += [f"--hostname-override={self.name}", f"--node-ip={network.address(self.index)}", "--v=1"]
        texts = {
            "machine/kubeconfig": kubeconfig,
            "machine/ca.crt": ca,
            "machine/cni/pods.conflist": network.as_json(self.index),
            "machine/machine.json": json.dumps({"box": box_namespaces(), "kubelet": kubelet}),
            "etc/hostname": self.name + "\n",
            "var/lib/kairos/active": release_file(OLD_IMAGE.version),
        }
        for path, text in texts.items():
            self.file(path).write_text(text)
        for name in ("init.py", "containerd.toml", "kubelet.yaml"):
            shutil.copy(HERE / name, self.file("machine") / name)
        # Debian's /sbin is a link to /usr/sbin.
        shutil.copy(HERE / "reboot", self.file("usr/sbin/reboot"))
        self.file("usr/sbin/reboot").chmod(0o755)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self._live_once()
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                self.failure = f"{type(error).__name__}: {error}"
                self._listener(self.name, "failure", self.failure)
                self._kill()
                return
            self._stopping.wait(DOWN_SECONDS)

    def _live_once(self) -> None:
        boot_id = str(uuid.uuid4())
        control = self.directory / "control"
        for name in ("assembled", "go", "imported"):
            (control / name).unlink(missing_ok=True)
        groups = cgroups.make(self._parts.run, self.name)
        network.plug_in(self.name, self.index)
        try:
            self._child = child = spawn(self._command(groups), self.log)
            self._wait_assembled(child)
            check_alone(_init_pid(child.pid))
            self.boot_ids.append(boot_id)
            self._listener(self.name, "boot", boot_id)
            staged = control / "going"
            staged.write_text(boot_id + "\n")
            staged.rename(control / "go")
            status = child.wait()
            self._listener(self.name, "down", f"init ended with {status}")
        finally:
            self._kill()
            if self._child is not None:
                self._child.wait()
            network.unplug(self.name)
            for group in groups:
                self._sweep(group)

    def _command(self, groups: list[Path]) -> list[str]:
        # Into its cgroups first, then the namespaces: so that the machine sees its own as the root of all.
        join = 'for group in "$@"; do [ "$group" != -- ] || break; echo $$ >"$group/cgroup.procs"; shift; done; shift; '
        run = ["sh", "-c", join + 'exec "$@"', "join", *map(str, groups), "--"]
        enter = ["nsenter", f"--net=/run/netns/{self.name}", "--", *UNSHARE]
        parts = self._parts
        assemble = ["sh", "-c", 'hostname "$0" && exec sh "$@"', self.name, str(HERE / "assemble.sh")]
        return [*run, *enter, *assemble, *map(str, (parts.root, self.directory, parts.kubelet, parts.images))]

    def _wait_assembled(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + ASSEMBLE_TIMEOUT
        while not (self.directory / "control" / "assembled").exists():
            if child.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace").splitlines()[-10:]
                raise RuntimeError(f"{self.name} did not come up: {' / '.join(said)}")
            time.sleep(0.05)

    @staticmethod
    def _sweep(group: Path) -> None:
        deadline = time.monotonic() + 10
        while not cgroups.remove(group) and time.monotonic() < deadline:
            time.sleep(0.1)


def _init_pid(launcher: int) -> int:
    """The pid, as seen here, of the process that `unshare --fork` made process 1."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    if len(children) != 1:
        raise RuntimeError(f"expected one child of {launcher}, found {children}")
    return int(children[0])


def check_alone(init: int) -> None:
    """Shows by trying that `nsenter -t 1` from inside a machine enters that machine. Raises RuntimeError.

    `init` is the pid of its process 1 as seen from here.
    """
    own, box, around = namespaces(init), box_namespaces(), namespaces()
    shared = [kind for kind in own if own[kind] in (box[kind], around[kind])]
    if shared:
        raise RuntimeError(f"the machine shares namespaces with what is around it: {', '.join(shared)}")
    look = "readlink /proc/1/ns/pid /proc/1/ns/mnt /proc/self/ns/mnt"
    enter = ["nsenter", "-t", str(init), "--pid", "--mount", "--"]
    tried = [*enter, "nsenter", "-t", "1", "-m", "--", "sh", "-c", look]
    seen = subprocess.run(tried, capture_output=True, text=True, timeout=20, check=True).stdout.split()
    if seen != [own["pid"], own["mnt"], own["mnt"]]:
        raise RuntimeError(f"process 1 of the machine is in {seen}, but its init in {own}")
    if os.readlink("/proc/1/ns/pid") in seen:
        raise RuntimeError("process 1 of the enclosure could be reached")
