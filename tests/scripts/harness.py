"""Runs the generated scripts under each shell, on scratch directories that play the image and the node.

`mount` and `kairos-agent` are stubs that write each call down, argument by argument. A script's PATH holds
the stubs and, by symbolic link, the few real commands that it needs, and nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kairos_operator.core

SCRIPTS = Path(kairos_operator.core.__file__).parent / "scripts"
COMMANDS = ("dd", "mv", "readlink", "sync", "tr", "wc")

STUB = """#!/bin/sh
printf '%s\\0' "{name}" "$@" >>"$CALLS"
printf '\\n\\0' >>"$CALLS"
[ -z "${{ON_{variable}:-}}" ] || . "$ON_{variable}"
"""


def script_text(name: str) -> str:
    """The text that a container is given for the script of that name."""
    text = (SCRIPTS / f"{name}.sh").read_text()
    return text if name == "sentinel" else (SCRIPTS / "release.sh").read_text() + text


@dataclass(frozen=True)
class Result:
    """How a script ended, and what it said."""

    code: int
    out: str
    err: str
    message: str
    """The termination message."""


class Bench:
    """An image and a node as directories, and a shell to run scripts with."""

    def __init__(self, directory: Path, shell: tuple[str, ...]) -> None:
        self.shell = shell
        self.directory = directory
        self.image = directory / "image"
        self.host = directory / "host"
        self.log = directory / "termination-log"
        self.cmdline = directory / "cmdline"
        self.bin = directory / "bin"
        for root in (self.image, self.host):
            (root / "etc").mkdir(parents=True)
        self.bin.mkdir()
        self.cmdline.write_text("BOOT_IMAGE=/boot/vmlinuz root=LABEL=COS_ACTIVE\n")
        for command in COMMANDS:
            found = shutil.which(command)
            assert found, command
            # Under busybox, its own commands are the ones to be tested with.
            (self.bin / command).symlink_to(shell[0] if len(shell) > 1 else found)
        self._stub("mount", "MOUNT")
        self._stub("kairos-agent", "AGENT")

    def _stub(self, name: str, variable: str) -> None:
        stub = self.bin / name
        stub.write_text(STUB.format(name=name, variable=variable))
        stub.chmod(0o755)

    def run(self, name: str, *arguments: str, **environ: str) -> Result:
        """Runs a script as a container would."""
        self.log.write_text("")
        done = subprocess.run(
            [*self.shell, "-c", script_text(name), f"kairos-{name}", *arguments],
            env={
                "PATH": str(self.bin),
                "HOST_DIR": str(self.host),
                "KAIROS_IMAGE_ROOT": str(self.image),
                "KAIROS_CMDLINE": str(self.cmdline),
                "TERMINATION_LOG": str(self.log),
                "CALLS": str(self.directory / "calls"),
            }
            | environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        message = self.log.read_text() if self.log.exists() else ""
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode(), message)

    def on(self, command: str, text: str) -> dict[str, str]:
        """Makes the stub of `command` also run `text`; to be given to `run` as environment."""
        path = self.directory / f"on-{command}"
        path.write_text(text)
        return {f"ON_{command.upper()}": str(path)}

    def calls(self) -> list[list[str]]:
        """The calls of both stubs so far, in order, each with its name and arguments."""
        path = self.directory / "calls"
        words = path.read_bytes().split(b"\0")[:-1] if path.exists() else []
        calls: list[list[str]] = [[]]
        for word in words:
            if word == b"\n":
                calls.append([])
            else:
                calls[-1].append(word.decode())
        return calls[:-1]


def release(version: str = "v3.4.2", software: str = "v1.30.11+k3s1", prefix: str = "k3s") -> str:
    """A release file as Kairos writes it."""
    return (
        'KAIROS_ARCH="amd64"\n'
        f'KAIROS_VERSION="{version}"\n'
        f'KAIROS_SOFTWARE_VERSION="{software}"\n'
        f'KAIROS_SOFTWARE_VERSION_PREFIX="{prefix}"\n'
    )


TRIPLE = "v3.4.2-k3sv1.30.11+k3s1"
"""The version triple of `release()`."""
