"""The cgroups of one run: a subtree below this process's own in every hierarchy, so that its limits hold.

Version 1, as on a box with a hierarchy for each controller.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchies(run: str) -> list[Path]:
    """The directories of the run `run`, one in each hierarchy that is mounted; empty on version 2."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        directory = ROOT / controllers.removeprefix("name=")
        if controllers and directory.is_dir():
            found.append(directory / path.strip("/") / f"kairos-machines-{run}")
    return found


def make(run: str, name: str) -> list[Path]:
    """Makes a cgroup for `name` in each hierarchy."""
    made = []
    for top in hierarchies(run):
        for directory in (top, top / name):
            directory.mkdir(exist_ok=True)
            # A cpuset without processors or memory takes no process.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (directory / setting).exists():
                    (directory / setting).write_text((directory.parent / setting).read_text())
            if (directory / "cgroup.clone_children").exists():
                (directory / "cgroup.clone_children").write_text("1")
        made.append(top / name)
    return made


def remove(top: Path) -> bool:
    """Removes a subtree whose processes are gone; False where some are not."""
    for directory, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            return False
    return True
