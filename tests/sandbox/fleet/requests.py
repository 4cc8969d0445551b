"""How a stub tells the fleet that its node is to be rebooted: a line in a named pipe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path


class RebootRequests:
    """Reads node names from the pipe and passes them on."""

    def __init__(self, pipe: Path, requested: Callable[[str], None]) -> None:
        self._pipe = pipe
        self._requested = requested
        self._descriptor = -1
        self._rest = b""

    def open(self) -> None:
        """Begins to read. The pipe is open for writing too, so that no writer ever waits for a reader."""
        self._descriptor = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Ends reading."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._descriptor, 65536)).split(b"\n")
        for line in lines:
            self._requested(line.decode())
