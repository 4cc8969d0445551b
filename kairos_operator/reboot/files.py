"""The files of one Job in the sentinel directory, which is the node's and so survives its reboot.

The sentinel, named after the Job, is written by the Job's pod when its work has succeeded. The marker,
`<job>.rebooting`, is written by this program before it reboots, and holds the boot id of that moment: it
tells a pod that replaces this one whether the reboot still has to come. The count, `<job>.requests`, has a byte
for each time the node was asked to reboot. What a method writes or removes is so
on disk when it returns.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .host import is_boot_id


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The sentinel and the marker of `job`. Methods raise OSError."""

    directory: Path
    job: str

    @property
    def sentinel(self) -> Path:
        """Where the Job's pod writes that the work has succeeded."""
        return self.directory / self.job

    @property
    def marker(self) -> Path:
        """Where this program writes the boot id before a reboot."""
        return self.directory / f"{self.job}.rebooting"

    @property
    def count(self) -> Path:
        """Where this program keeps how often it asked for the reboot."""
        return self.directory / f"{self.job}.requests"

    def count_request(self) -> int:
        """Counts one more request for the reboot; returns how many that makes."""
        with self.count.open("ab") as file:
            file.write(b".")
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def work_succeeded(self) -> bool:
        """Whether the sentinel is there."""
        return self.sentinel.is_file()

    def marked_boot_id(self) -> str | None:
        """The boot id in the marker; None without a marker, or with one that holds something else."""
        try:
            text = self.marker.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        return text if is_boot_id(text) else None

    def mark(self, boot_id: str) -> None:
        """Writes the marker, whole or not at all."""
        new = self.marker.with_name(self.marker.name + ".new")
        with new.open("w", encoding="ascii") as file:
            file.write(boot_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.marker)
        self._flush_directory()

    def remove_sentinel(self) -> None:
        """Removes the sentinel, if it is there."""
        self.sentinel.unlink(missing_ok=True)
        self._flush_directory()

    def remove_all(self) -> None:
        """Removes sentinel, marker and count, whichever is there."""
        for path in (self.sentinel, self.marker, self.count):
            path.unlink(missing_ok=True)
        self._flush_directory()

    def _flush_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
