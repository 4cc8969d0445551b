"""What this box lacks for machines: said in one line, or nothing."""

from __future__ import annotations

import os
import shutil
import sys

PROGRAMS = ("debootstrap", "ip", "unshare", "nsenter", "mount", "tar")


def lacking() -> str:
    """Why no machines can run here, or the empty text."""
    if sys.platform != "linux":
        return "machines need Linux"
    if os.geteuid() != 0:
        return "machines need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install debootstrap iproute2 util-linux tar"
    return ""
