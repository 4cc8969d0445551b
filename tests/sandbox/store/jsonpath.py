"""The JSONPath of printer columns: fields, indexes, `[*]` and filters of the form `[?(@.type=="Ready")]`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Step = Callable[[list[Any]], list[Any]]

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\'"]|\\.)+)
      | \[\?\(@\.(?P<key>[A-Za-z0-9_.]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
      | \[(?P<index>-?\d+|\*)\]
      | \[['"](?P<quoted>[^'"]+)['"]\]""",
    re.VERBOSE,
)


class PathError(ValueError):
    """A path outside of what is done here."""


@lru_cache(maxsize=512)
def steps(path: str) -> tuple[Step, ...]:
    """The compiled path; raises PathError."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise PathError(f"cannot read {path[at:]!r} in the path {path!r}")
        found.append(_step(match))
        at = match.end()
    return tuple(found)


def _step(match: re.Match[str]) -> Step:
    if match["index"] == "*":
        return lambda values: [item for value in values for item in _members(value)]
    if match["index"]:
        return _at(int(match["index"]))
    if match["key"]:
        return _filter(match["key"].split("."), match["value"])
    return _field(match["quoted"] or re.sub(r"\\(.)", r"\1", match["field"]))


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _at(index: int) -> Step:
    return lambda values: [
        value[index] for value in values if isinstance(value, list) and -len(value) <= index < len(value)
    ]


def _filter(keys: list[str], wanted: str) -> Step:
    def matches(item: Any) -> bool:
        for key in keys:
            item = item.get(key) if isinstance(item, dict) else None
        return bool(item == wanted)

    return lambda values: [
        item for value in values if isinstance(value, list) for item in value if matches(item)
    ]


def lookup(value: Any, path: str) -> list[Any]:
    """All values at a path."""
    values = [value]
    for step in steps(path):
        values = step(values)
    return values
