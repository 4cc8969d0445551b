"""Child programs that never outlive the test run.

Rules: every child gets SIGKILL from the kernel when this process dies in whatever way (PR_SET_PDEATHSIG, set
by a small launcher that then becomes the program, since code between fork and exec is unsafe with threads).
That signal is tied to the *thread* that forked, so all forks happen in one thread that lives as long as the
process. Children are in sessions of their own, so that Ctrl-C reaches the test run alone, which ends them in
order. They are addressed by the pid that was started here and nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LAUNCHER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
_FORKING_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="program")

END_TIMEOUT = 10.0
"""Seconds that a killed child may take to be reaped."""


def spawn(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Starts `command` bound to the life of this process, its output appended to `log`."""
    launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *command]

    def fork() -> subprocess.Popen[bytes]:
        with log.open("ab") as sink:
            return subprocess.Popen(
                launched,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
            )

    return _FORKING_THREAD.submit(fork).result()


class Program:
    """One long-running child that can be killed, paused and started again under the same name."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the running child, or None."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        """Starts the child; a running one is left alone."""
        if not self.running:
            self._child = spawn(self.command, self.log)

    def kill(self) -> None:
        """SIGKILL, and waits until the child is gone. Nothing happens where none runs."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait(END_TIMEOUT)
        self._child = None

    def restart(self) -> None:
        """A crash and a new start."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the sockets stay open and nobody answers, as on a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def last_words(self, lines: int = 15) -> str:
        """The end of the log, for error messages."""
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None or self._child.poll() is not None:
            raise RuntimeError(f"{self.name} does not run")
        self._child.send_signal(number)
