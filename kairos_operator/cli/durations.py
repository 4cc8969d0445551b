"""Durations as kubectl writes and people type them."""

from __future__ import annotations

import re

from kairos_operator.cli.exits import Exit, Trouble

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WHOLE = re.compile(r"(\d+[wdhms])+")
_PART = re.compile(r"(\d+)([wdhms])")


def parse_seconds(text: str) -> int:
    """The seconds that `30d`, `12h`, `1h30m` or `45s` stand for. Raises Trouble for anything else."""
    if not _WHOLE.fullmatch(text):
        raise Trouble(f"{text!r} is no duration; write it as 30d, 12h, 1h30m or 45s", Exit.USAGE)
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def short(seconds: float) -> str:
    """A duration in at most two units, as in kubectl's AGE column: `45s`, `12m`, `2h5m`, `3d`."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 600:
        return _pair(whole // 60, "m", whole % 60, "s")
    if whole < 3 * 3600:
        return f"{whole // 60}m" if whole < 7200 else _pair(whole // 3600, "h", whole // 60 % 60, "m")
    if whole < 48 * 3600:
        return _pair(whole // 3600, "h", whole // 60 % 60, "m") if whole < 8 * 3600 else f"{whole // 3600}h"
    return f"{whole // 86400}d"


def _pair(much: int, unit: str, rest: int, small: str) -> str:
    return f"{much}{unit}" + (f"{rest}{small}" if rest else "")


def number_of(thing: str, count: int, plural: str = "") -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {thing if count == 1 else plural or thing + 's'}"
