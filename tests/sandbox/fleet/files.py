"""The scratch directories of the fleet: what real scripts see as the node, the image and their tools.

    <root>/bin               stubs and links to a few tools; the whole PATH of what runs for real
    <root>/images/<digest>   the root of an image, with its release file
    <root>/nodes/<name>      calls (of the stubs), boot_id, cmdline, systems/{active,passive,recovery}
    <root>/nodes/<name>/host what the node's root looks like in a pod
    <root>/runs/<number>     termination log, output and service account of one container
    <root>/requests          a named pipe: a line is the name of a node to be rebooted

Rule: PATH has no mount, nsenter, reboot or kairos-agent but the stubs, so that nothing reaches this machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from tests.sandbox.fleet.disk import ImageRelease, MemoryDisk, System
from tests.sandbox.fleet.spec import Release

STUBS = Path(__file__).parent / "stubs"
TOOLS = ("cat", "cp", "dd", "mv", "readlink", "sleep", "tr", "wc")
SENTINELS = "usr/local/.kairos"
LABELS: dict[System, str] = {"active": "COS_ACTIVE", "passive": "COS_PASSIVE", "recovery": "COS_RECOVERY"}


def parse_release(text: str) -> Release:
    """The release that a release file of this fleet tells."""
    found = dict(re.findall(r'^(\w+)="(.*)"$', text, re.M))
    return Release(
        found["KAIROS_VERSION"], found["KAIROS_SOFTWARE_VERSION_PREFIX"], found["KAIROS_SOFTWARE_VERSION"]
    )


class FileDisk(MemoryDisk):
    """A node's disk in a directory that real scripts read and write."""

    def __init__(self, node: str, release: Release, directory: Path) -> None:
        self.directory = directory
        self.host = directory / "host"
        super().__init__(node, release)
        for part in ("dev", "run/cos", "etc", SENTINELS):
            (self.host / part).mkdir(parents=True, exist_ok=True)
        (directory / "systems").mkdir(exist_ok=True)
        for system in LABELS:
            (directory / "systems" / system).write_text(release.text())
        (self.host / "etc/hostname").write_text(f"{node}\n")
        (directory / "calls").touch()
        self._show()

    @property
    def calls(self) -> list[str]:
        """What the stubs were called with, in order."""
        return (self.directory / "calls").read_text().splitlines()

    def system(self, system: System) -> Release:
        return parse_release((self.directory / "systems" / system).read_text())

    def boot(self, *, fall_back: bool = False, same_boot_id: bool = False) -> None:
        super().boot(fall_back=fall_back, same_boot_id=same_boot_id)
        self._show()

    def has_sentinel(self, job: str) -> bool:
        return (self.host / SENTINELS / job).exists()

    def _show(self) -> None:
        """Writes what the running system shows of itself."""
        (self.host / "etc/kairos-release").write_text(self.running.text())
        (self.directory / "boot_id").write_text(f"{self.boot_id}\n")
        (self.directory / "cmdline").write_text(
            f"BOOT_IMAGE=/boot/vmlinuz root=LABEL={LABELS[self.booted]} quiet\n"
        )
        for system in LABELS:
            (self.host / f"run/cos/{system}_mode").unlink(missing_ok=True)
        (self.host / f"run/cos/{self.booted}_mode").touch()


class Workspace:
    """The directories of one fleet."""

    def __init__(self, root: Path, image_release: ImageRelease) -> None:
        self.root = root
        self.bin = root / "bin"
        self.requests = root / "requests"
        self._image_release = image_release
        self._runs = 0
        self.bin.mkdir(parents=True)
        for stub in STUBS.iterdir():
            shutil.copy(stub, self.bin / stub.name)
        for tool in TOOLS:
            found = shutil.which(tool)
            if found is None:
                raise FileNotFoundError(f"the fleet needs {tool} on PATH")
            (self.bin / tool).symlink_to(found)
        os.mkfifo(self.requests, 0o600)

    def disk(self, node: str, release: Release) -> FileDisk:
        """A fresh disk for a node."""
        directory = self.root / "nodes" / node
        if directory.exists():  # of a node of that name that has left
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        return FileDisk(node, release, directory)

    def image(self, image: str) -> Path:
        """The root directory of an image, made when it is first asked for."""
        directory = self.root / "images" / hashlib.sha256(image.encode()).hexdigest()[:16]
        if not directory.exists():
            for part in ("dev", "run", "etc"):
                (directory / part).mkdir(parents=True)
            release = self._image_release(image)
            if release is not None:
                (directory / "etc/kairos-release").write_text(release.text())
        return directory

    def run(self) -> Path:
        """A fresh directory for one run of a container."""
        self._runs += 1
        directory = self.root / "runs" / str(self._runs)
        directory.mkdir(parents=True)
        return directory
