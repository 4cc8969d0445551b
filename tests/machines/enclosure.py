"""The namespaces around all machines, and the proof that one is inside.

Rules: the launcher (`python -m tests.machines`) names the box's own namespaces in the environment, and a program
is inside only if not one of its namespaces is among them and process 1, as it sees it, is not the box's either.
The first process of the enclosure dies with the launcher (PR_SET_PDEATHSIG), and everything else with that one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.controlplane.program import LAUNCHER

VARIABLE = "KAIROS_MACHINES_BOX"
KINDS = ("pid", "mnt", "net", "uts", "ipc")
UNSHARE = [
    "unshare",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--mount",
    "--mount-proc",
    "--propagation",
    "private",
    "--net",
    "--uts",
    "--ipc",
    "--",
]


class NotEnclosedError(RuntimeError):
    """This program could reach the box that it runs on; the text says by what."""


def namespaces(pid: int | str = "self") -> dict[str, str]:
    """The namespaces of a process, such as {"pid": "pid:[4026531836]"}."""
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def box_namespaces() -> dict[str, str]:
    """The namespaces of the box, as the launcher named them. Raises NotEnclosedError without a launcher."""
    try:
        named = json.loads(os.environ[VARIABLE])
        return {kind: str(named[kind]) for kind in KINDS}
    except (KeyError, ValueError, TypeError) as error:
        raise NotEnclosedError("not started by `python -m tests.machines`") from error


def check_enclosed() -> None:
    """Raises NotEnclosedError unless this is root on Linux in namespaces of its own, process 1 included."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotEnclosedError("needs root on Linux")
    box = box_namespaces()
    for whose, pid in (("this process", os.getpid()), ("process 1", 1)):
        try:
            found = namespaces(pid)
        except OSError as error:
            raise NotEnclosedError(f"{whose} does not let itself be looked at: {error}") from error
        shared = [kind for kind in KINDS if found[kind] == box[kind]]
        if shared:
            raise NotEnclosedError(f"{whose} is in the box's own namespaces: {', '.join(shared)}")


def run_enclosed(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts `command` in fresh namespaces. It is killed when this process dies."""
    env = {**environment, VARIABLE: json.dumps(namespaces())}
    launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *UNSHARE, *command]
    return subprocess.Popen(launched, env=env, cwd=Path(__file__).parents[2])
