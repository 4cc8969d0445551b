"""What this box lacks for machines: said in one line, or nothing."""

from __future__ import annotations

import os
import shutil
import sys

from tests.machines import cgroups

PROGRAMS = ("debootstrap", "ip", "unshare", "nsenter", "mount", "tar")


def lacking() -> str:
    """Why no machines can run here, or the empty text."""
    if sys.platform != "linux":
        return "machines need Linux"
    if os.geteuid() != 0:
        return "machines need root"
    if not cgroups.hierarchies("any"):
        return (
            "machines need cgroups of version 1 (systemd.unified_cgroup_hierarchy=0), each controller mounted"
        )
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install debootstrap iproute2 util-linux tar"
    return ""
