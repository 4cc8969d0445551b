"""Reads a Kairos release file as data: nothing in it is ever evaluated, and no link leads out of the host's tree.

The rules are those of the scripts that upgrade nodes (`core/scripts/release.sh`): the last assignment of a name counts,
`export` and one pair of quotes are dropped, a file of over 64 KiB or with a NUL is no release file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

RELEASE_FILE = "/etc/kairos-release"
PREFIX = "KAIROS_"
MAX_BYTES = 65536
MAX_LINKS = 20


def release_of(root: Path) -> Mapping[str, str]:
    """The `KAIROS_` values below `root`, without the prefix; none where that is no Kairos system.

    Raises OSError where the file is there and cannot be read.
    """
    path = resolved(root, RELEASE_FILE)
    if path is None:
        return {}
    content = _content(path)
    if len(content) > MAX_BYTES or b"\0" in content:
        return {}
    return _values(content.decode("utf-8", "replace"))


def resolved(root: Path, path: str) -> Path | None:
    """The real file behind `path` for a process whose root is `root`, or None after too many links."""
    found: list[str] = []
    rest = path.split("/")
    links = 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            found = found[:-1]
            continue
        here = root.joinpath(*found, part)
        if not here.is_symlink():
            found.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            return None
        target = os.readlink(here)
        if target.startswith("/"):
            found = []
        rest = target.split("/") + rest
    return root.joinpath(*found)


def _content(path: Path) -> bytes:
    """At most a byte more than a release file may have; nothing where there is no plain file."""
    try:
        # A FIFO in its place must not stop the program, nor a link that appears after the look at it.
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return b""
        with open(opened, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(opened)


def _values(text: str) -> dict[str, str]:
    found = {}
    for line in text.split("\n"):  # not splitlines: only this one ends a line for a shell
        name, equals, value = line.strip(" \t\r").removeprefix("export ").partition("=")
        if equals and name.startswith(PREFIX):
            found[name.removeprefix(PREFIX)] = _plain(value)
    return found


def _plain(value: str) -> str:
    value = value.removesuffix("\r")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return value
