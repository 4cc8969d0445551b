"""What machines are made of, built outside the enclosure, where there is a network, and kept in the user's cache.

Rules: a thing lies under a name with the hash of what it was made of, so a changed recipe makes a new one; it
appears whole or not at all (atomic rename); two runs at once wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.machines.images import (
    BROKEN_IMAGE,
    NEW_IMAGE,
    OLD_IMAGE,
    kairos_image,
    pause_image,
)
from tests.tools import cache_root, file_lock

REPOSITORY = Path(__file__).parents[2]
SUITE = "bookworm"
PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "containerd",
    "containernetworking-plugins",
    "iproute2",
    "procps",
    "python3",
    "runc",
)
OPERATOR_IMAGE = "quay.io/kairos/operator-py:v0.1.0"
"""The name under which config/ has it, so that config/default installs it unchanged."""
OPERATOR_ARCHIVE = "KAIROS_MACHINES_OPERATOR"
"""The environment variable that names an image archive of the operator, to use in place of a new one."""
OPERATOR_SOURCES = ("kairos_operator", "webhooks", "hack/image", "hack/rootfs.sh", "requirements.lock")
BUILD_TIMEOUT = 1200
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stock:
    """Where the made things are."""

    root: Path
    """The root file system that all machines share."""
    images: Path
    """A directory of image archives, all of which every machine imports."""


def make_stock(tell: Tell) -> Stock:
    """Makes what the cache lacks. Raises subprocess.CalledProcessError with the builder's words on the terminal."""
    home = cache_root() / "machines"
    with file_lock(home / "lock"):
        root = home / f"root-{_digest([SUITE, *PACKAGES])}"
        if not root.exists():
            tell(f"a root file system for machines, into {root} (once; about a minute)")
            _debootstrap(root)
        named = os.environ.get(OPERATOR_ARCHIVE, "")
        operator = Path(named) if named else home / "images" / f"operator-{operator_digest()}.tar"
        if not operator.exists():
            tell(f"the operator's image, into {operator} (once per version of the operator; minutes)")
            _operator_image(operator)
        recipe = [_text(Path(__file__).parent / "images.py"), str(operator), str(operator.stat().st_mtime_ns)]
        images = home / "sets" / _digest([root.name, *recipe])
        if not images.exists():
            _image_set(images, root, operator)
    return Stock(root, images)


def operator_digest() -> str:
    """What tells one version of the operator's image from another."""
    files: list[Path] = []
    for source in OPERATOR_SOURCES:
        path = REPOSITORY / source
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    parts = (f"{file.relative_to(REPOSITORY)}\n{_text(file)}" for file in files if _is_source(file))
    return _digest(parts)


def _is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _debootstrap(root: Path) -> None:
    staged = root.with_name(f"{root.name}.{os.getpid()}")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(staged)]
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=BUILD_TIMEOUT)
        staged.rename(root)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _operator_image(archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    staged = archive.with_name(f"{archive.name}.{os.getpid()}")
    command = ["sh", str(REPOSITORY / "hack" / "rootfs.sh"), str(staged), OPERATOR_IMAGE]
    env = {**os.environ, "PYTHON": sys.executable, "SOURCE_DATE_EPOCH": "0"}
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env, timeout=BUILD_TIMEOUT)
        staged.rename(archive)
    finally:
        staged.unlink(missing_ok=True)


def _image_set(directory: Path, root: Path, operator: Path) -> None:
    staged = directory.with_name(f"{directory.name}.{os.getpid()}")
    staged.mkdir(parents=True)
    try:
        busybox = (root / "bin" / "busybox").read_bytes()
        (staged / "1-pause.tar").write_bytes(pause_image(busybox))
        for number, (name, version, fault) in enumerate((OLD_IMAGE, NEW_IMAGE, BROKEN_IMAGE)):
            (staged / f"2-kairos-{number}.tar").write_bytes(kairos_image(busybox, name, version, fault))
        os.link(operator, staged / "3-operator.tar")
        staged.rename(directory)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
