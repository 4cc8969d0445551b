"""The demo's child programs, and how they end: told first, killed if they do not, and with this program in any case."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.controlplane.program import spawn
from tests.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[3]
GRACE_SECONDS = 8.0
_LAST_LINES = 15


class ChildEndedError(RuntimeError):
    """A program that the demo needs has ended by itself; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running program with its log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ChildEndedError where the program has ended."""
        code = self.popen.poll()
        if code is not None:
            raise ChildEndedError(f"{self.name} ended with code {code}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of the program's log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LAST_LINES:])

    async def end(self) -> None:
        """Tell the program to end, and kill it if it has not done so after a while."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            await eventually(lambda: self.popen.poll() is not None, GRACE_SECONDS)
        except TimeoutError:
            self.popen.kill()
            self.popen.wait()


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    *,
    python: str = sys.executable,
) -> AsyncIterator[Child]:
    """`python -m <command>` in the repository while the block runs."""
    env = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT} | dict(environ or {})
    child = Child(name, spawn([python, "-m", *command], log, env=env, cwd=REPOSITORY), log)
    try:
        yield child
    finally:
        await child.end()


# Settings of an operator that the user may have in the shell, and which are not this one's.
_LEFT_OUT = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "SENTINEL_IMAGE", "NODEOP_DEFAULT_IMAGE")


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
