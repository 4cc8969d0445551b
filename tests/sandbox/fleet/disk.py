"""What survives a reboot of a simulated node: its three systems, which one is booted, the boot id, sentinels.

An upgrade writes the active system and keeps the one before as passive; it shows only after the next boot.
`MemoryDisk` is all there is in a simulation; `FileDisk` adds the directories that real scripts work on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Literal

from tests.sandbox.fleet.spec import Release

System = Literal["active", "passive", "recovery"]
_BOOTS = uuid.UUID("5f0e4c0a-5d0b-4a5e-9a53-6b1f0d6f3c11")


class MemoryDisk:
    """The state of one node's disk, in memory."""

    def __init__(self, node: str, release: Release) -> None:
        self.node = node
        self.boots = 1
        self.boot_id = self._next_boot_id()
        self.booted: System = "active"
        self._systems: dict[System, Release] = {"active": release, "passive": release, "recovery": release}
        self._running = release
        self._sentinels: set[str] = set()

    @property
    def running(self) -> Release:
        """The release that the node runs now."""
        return self._running

    def system(self, system: System) -> Release:
        """The release that is installed as that system."""
        return self._systems[system]

    def install(self, system: System, release: Release) -> None:
        """What kairos-agent does: the next boot runs `release`, where `system` is the active one."""
        if system == "active":
            self._systems["passive"] = self._running
        self._systems[system] = release

    def boot(self, *, fall_back: bool = False, same_boot_id: bool = False) -> None:
        """Starts the active system, or the passive one where the new one does not start."""
        self.boots += 1
        if not same_boot_id:
            self.boot_id = self._next_boot_id()
        self.booted = "passive" if fall_back else "active"
        self._running = self.system(self.booted)

    def has_sentinel(self, job: str) -> bool:
        """Whether the Job of that name has said that its work succeeded."""
        return job in self._sentinels

    def add_sentinel(self, job: str) -> None:
        """What the Job's last container does."""
        self._sentinels.add(job)

    def drop_sentinel(self, job: str) -> None:
        """What the reboot program does with what it has seen."""
        self._sentinels.discard(job)

    def _next_boot_id(self) -> str:
        return str(uuid.uuid5(_BOOTS, f"{self.node}/{self.boots}"))


ImageRelease = Callable[[str], Release | None]
"""Tells the release inside an image, or None for an image that is no Kairos system."""
