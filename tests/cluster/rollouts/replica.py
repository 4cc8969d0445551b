"""One replica of the operator, as the process that it is in a cluster: started, killed, told to end.

Rules: it listens on loopback only; the kernel ends it with the test run; it is addressed by the pid that was started
here. Its log is kept, and a bug or a traceback in it fails the scenario that was played meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp

from tests.cluster.controlplane import Cluster
from tests.cluster.controlplane.program import spawn
from tests.waiting import eventually

IMAGE = "registry.example/kairos-operator:test"
PROGRAM = "import sys; from kairos_operator.__main__ import main; sys.exit(main())"
END_SECONDS = 30.0


class Replica:
    """A `kairos-operator run` against a cluster."""

    def __init__(
        self, cluster: Cluster, directory: Path, name: str = "operator", *flags: str, **environ: str
    ) -> None:
        self.name = name
        self.log_file = directory / f"{name}.log"
        self._kubeconfig = cluster.kubeconfig
        self._flags = flags
        self._environ = environ
        self._child: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._read = 0

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.poll() is None

    async def start(self) -> None:
        """Starts the process, and returns once its caches are filled."""
        self._port = _free_port()
        command = [sys.executable, "-c", PROGRAM, "run", "--webhook-port=0"]
        command += [f"--kubeconfig={self._kubeconfig}", f"--health-probe-bind-address=127.0.0.1:{self._port}"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.log_file.parent), "OPERATOR_IMAGE": IMAGE}
        environ |= {"PYTHONPATH": os.pathsep.join(sys.path), **self._environ}
        self._child = spawn([*command, *self._flags], self.log_file, env=environ)
        await eventually(self._is_ready)

    def kill(self) -> None:
        """SIGKILL, at any moment."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(END_SECONDS)
            self._child = None

    async def end(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._child is not None
        child, self._child = self._child, None
        child.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(child.wait, END_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: alive, and doing nothing."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def news(self) -> str:
        """What the log says since the last call."""
        if not self.log_file.exists():
            return ""
        text = self.log_file.read_text(errors="replace")
        fresh, self._read = text[self._read :], len(text)
        return fresh

    async def _is_ready(self) -> bool:
        if not self.running:
            raise AssertionError(f"the operator ended while starting:\n{self.news()[-3000:]}")
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self._port}/readyz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
