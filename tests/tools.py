"""Finds the shells that the generated scripts are tested under, and the programs that check what is shipped.

Rules: what is on PATH wins; what is fetched goes to the user's cache and never into the repository; two test
runs at once fetch once; with CI=true a missing tool is an error, elsewhere it is None and the caller skips.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FETCH_TIMEOUT = 120.0
"""Seconds that one call of the package client may take."""


class ToolMissingError(RuntimeError):
    """A tool that the tests require is neither installed nor to be had; the text says how to get it."""


def in_ci() -> bool:
    """Whether this run must not skip what it lacks (`CI=true`, as every hosted CI sets it)."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


def cache_root() -> Path:
    """The directory for what tests fetch or build, outside the repository (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kairos-operator"


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on `path` (made if missing), released also when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_dash() -> Path | None:
    """The `dash` on PATH. Raises ToolMissingError in CI where there is none."""
    found = shutil.which("dash")
    if found is None and in_ci():
        raise ToolMissingError("dash is not on PATH: apt-get install dash")
    return Path(found) if found else None


def find_busybox() -> Path | None:
    """A busybox with an ash that looks for commands on PATH: the one there, or Debian's, unpacked into the cache.

    Raises ToolMissingError in CI where neither can be had.
    """
    return _found("busybox", "busybox", _heeds_path)


def _heeds_path(busybox: Path) -> bool:
    """Whether its ash takes commands from PATH. One that prefers its own, as Debian's static one does, would really
    mount where a test has put a stub for `mount`.
    """
    said = subprocess.run(
        [busybox, "ash", "-c", "type mount"],
        env={"PATH": "/nowhere"},
        check=False,
        capture_output=True,
        timeout=10,
    )
    return b"mount is mount" not in said.stdout


def find_promtool() -> Path | None:
    """Prometheus's promtool: the one on PATH, or Debian's, unpacked into the cache.

    Raises ToolMissingError in CI where neither can be had.
    """
    return _found("promtool", "prometheus")


def find_prometheus() -> Path | None:
    """The Prometheus server: the one on PATH, or Debian's, unpacked into the cache.

    Raises ToolMissingError in CI where neither can be had.
    """
    return _found("prometheus", "prometheus")


def find_lua() -> Path | None:
    """A Lua interpreter: the one on PATH, or Debian's, unpacked into the cache.

    Raises ToolMissingError in CI where neither can be had.
    """
    return _found("lua5.4", "lua5.4")


def _found(program: str, package: str, usable: Callable[[Path], bool] = Path.exists) -> Path | None:
    found = shutil.which(program)
    if found and usable(Path(found)):
        return Path(found)
    target = cache_root() / package / program
    with file_lock(target.parent.with_suffix(".lock")):
        if not target.exists():
            problem = _fetch(program, package, target)
            if problem and in_ci():
                raise ToolMissingError(f"{program} is not on PATH ({problem}): apt-get install {package}")
    return target if target.exists() else None


def _fetch(program: str, package: str, target: Path) -> str:
    """Unpacks a package's program to `target`, and returns why that failed, or nothing."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "and there is no apt-get to fetch it with"
    with tempfile.TemporaryDirectory() as scratch:
        problem = _apt_download(package, Path(scratch))
        if problem:
            return problem
        archive = next(Path(scratch).glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), scratch], check=True, timeout=FETCH_TIMEOUT)
        binary = next(path for path in Path(scratch).glob(f"**/bin/{program}") if path.is_file())
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_suffix(f".{os.getpid()}")
        shutil.copy2(binary, staged)
        staged.rename(target)
    return ""


def _apt_download(package: str, into: Path) -> str:
    """Downloads a package file; where the machine has no package lists, with private ones.

    Returns the client's last words on failure.
    """
    lists = into / "lists"
    (lists / "partial").mkdir(parents=True)
    private = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={into}"]
    attempts = [
        [["apt-get", "download", package]],
        [["apt-get", "update", *private], ["apt-get", "download", package, *private]],
    ]
    said = ""
    for attempt in attempts:
        for command in attempt:
            done = subprocess.run(
                command, check=False, cwd=into, capture_output=True, text=True, timeout=FETCH_TIMEOUT
            )
            said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
            if done.returncode != 0:
                break
        if list(into.glob(f"{package}_*.deb")):
            return ""
    return said or "apt-get download brought nothing"
