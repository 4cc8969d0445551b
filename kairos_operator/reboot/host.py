"""The node under the pod: which boot it is in, and its reboot.

Both enter the mount namespace of the node's process 1 (the pod has `hostPID`): its `reboot` finds its init
there, systemd by its socket in /run, OpenRC and busybox by process number. It is `reboot` and not
`systemctl reboot`, since Kairos also comes with OpenRC, and without `-f`, since services shall end in order.
The boot id is read the same way, so that it is the node's even where the pod shows another.
"""

from __future__ import annotations

import re
import subprocess

ENTER = ("nsenter", "-t", "1", "-m", "--")
READ_BOOT_ID = (*ENTER, "cat", "/proc/sys/kernel/random/boot_id")
REBOOT = (*ENTER, "reboot")
READ_TIMEOUT = 30.0
"""Seconds in which the boot id must have been read."""

_BOOT_ID = re.compile(r"[0-9A-Za-z-]{8,64}")


class HostError(Exception):
    """The node did not do what was asked; the text is a sentence without its full stop."""


def is_boot_id(text: str) -> bool:
    """Whether `text` can be a boot id (a UUID in practice)."""
    return _BOOT_ID.fullmatch(text) is not None


def read_boot_id() -> str:
    """The node's boot id, which the kernel draws anew in each boot. Raises HostError."""
    boot_id = _run(READ_BOOT_ID, "reading the node's boot id", READ_TIMEOUT).strip()
    if not is_boot_id(boot_id):
        raise HostError(f"reading the node's boot id gave {boot_id[:80]!r}")
    return boot_id


def request_reboot(timeout: float) -> None:
    """Asks the node to reboot; returns once it has agreed. Raises HostError, also after `timeout` seconds."""
    _run(REBOOT, "the reboot command", timeout)


def _run(command: tuple[str, ...], what: str, timeout: float) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise HostError(f"{what} could not be started: {error.strerror} ({command[0]})") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{what} did not end within {timeout:g} seconds") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-300:]
        raise HostError(f"{what} failed with exit code {done.returncode}" + (f": {said}" if said else ""))
    return done.stdout
