"""The control plane and its machines, as one thing to start and stop."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.machines.enclosure import check_enclosed
from tests.machines.machine import Machine, Parts
from tests.machines.network import build_bridge, remove_bridge
from tests.machines.plane import MachinePlane
from tests.machines.recording import Recording

RUN, DIRECTORY, ROOT, IMAGES, ASSETS = (
    f"KAIROS_MACHINES_{name}" for name in ("RUN", "DIRECTORY", "ROOT", "IMAGES", "ASSETS")
)
"""The launcher's message to what it started, in the environment."""
READY_TIMEOUT = 240.0
DISK_BYTES = 2**30
"""What a machine writes, generously: its images, unpacked, are about 300 MiB."""


def available_memory() -> int:
    """The bytes of memory that programs could still have without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


class MachineCluster:
    """Machines of those names, joined to a control plane of their own; the first is labelled as a control plane."""

    def __init__(self, names: list[str]) -> None:
        check_enclosed()
        self.recording = Recording()
        directory = Path(tempfile.mkdtemp(prefix="cluster-", dir=os.environ[DIRECTORY]))
        assets = Path(os.environ[ASSETS])
        parts = Parts(
            os.environ[RUN],
            directory,
            Path(os.environ[ROOT]),
            Path(os.environ[IMAGES]),
            assets / "kubelet",
            in_memory=available_memory() > len(names) * DISK_BYTES,
        )
        self.plane = MachinePlane(assets, directory / "plane", names)
        ca = self.plane.ca_file.read_text()
        self.machines = {
            name: Machine(
                name,
                index,
                self.plane.kubeconfig_of(name, "/machine/ca.crt"),
                ca,
                parts,
                self.recording.note,
            )
            for index, name in enumerate(names, 1)
        }

    def __enter__(self) -> Self:
        try:
            build_bridge()
            self.plane.start()
            for machine in self.machines.values():
                machine.start()
            self.wait(self._all_ready, "all machines are Ready", READY_TIMEOUT)
            first = next(iter(self.machines))
            self.plane.kubectl("label", "node", first, "node-role.kubernetes.io/control-plane=")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines.values():
            machine.stop()
        self.plane.stop()
        remove_bridge()

    def node(self, name: str) -> dict[str, Any]:
        """The Node object."""
        found: dict[str, Any] = self.plane.read("node", name)
        return found

    def ready(self, name: str) -> bool:
        """Whether the node says that it is ready, in the machine's present boot."""
        listed = self.plane.kubectl("get", "node", name, "--ignore-not-found", "-o", "name").stdout
        if not listed or not self.machines[name].boot_ids:
            return False
        status = self.node(name).get("status", {})
        booted = status.get("nodeInfo", {}).get("bootID") == self.machines[name].boot_ids[-1]
        return booted and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in status.get("conditions", [])
        )

    def _all_ready(self) -> bool:
        return all(self.ready(name) for name in self.machines)

    def wait(self, fact: Callable[[], object], what: str, seconds: float, pause: float = 0.5) -> None:
        """Returns once `fact` is true. Raises TimeoutError saying `what`, RuntimeError for a machine that failed."""
        deadline = time.monotonic() + seconds
        while not fact():
            failed = [f"{m.name}: {m.failure}" for m in self.machines.values() if m.failure]
            if failed:
                raise RuntimeError("; ".join(failed))
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:g} s: {what}")
            time.sleep(pause)
