"""`-l`: label selectors as kubectl takes them, and nodes by name, as the API's own selector.

The grammar is apimachinery's labels.Parse without its numeric comparisons: `a=b`, `a==b`, `a!=b`, `a in (b,c)`,
`a notin (b)`, `a`, `!a`, with commas between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kairos_operator.cli.exits import Exit, Trouble

HOSTNAME = "kubernetes.io/hostname"
MAX_VALUES = 256  # of one requirement; the CRD's own bound

_KEY = r"[A-Za-z0-9][-A-Za-z0-9_./]*"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s+\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_COMMA = re.compile(r",(?![^()]*\))")


def parse_selector(text: str) -> dict[str, Any]:
    """The selector that `text` means. Raises Trouble where it means none."""
    if not text.strip():
        raise Trouble("-l is empty; say which nodes, or leave it out for all of them", Exit.USAGE)
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for part in (part.strip() for part in _COMMA.split(text)):
        if match := _SET.fullmatch(part):
            operator = "In" if match[2] == "in" else "NotIn"
            values = [value.strip() for value in match[3].split(",")]
            expressions.append({"key": match[1], "operator": operator, "values": values})
        elif (match := _EQUAL.fullmatch(part)) and match[2] == "!=":
            expressions.append({"key": match[1], "operator": "NotIn", "values": [match[3]]})
        elif match and match[1] not in labels:
            labels[match[1]] = match[3]
        elif not match and (match := _EXISTS.fullmatch(part)):
            operator = "DoesNotExist" if match[1] else "Exists"
            expressions.append({"key": match[2], "operator": operator})
        else:
            raise Trouble(
                f"{part!r} is no label selector; write it as kubectl's -l, such as 'pool=edge,!gpu'",
                Exit.USAGE,
            )
    found = {"matchLabels": labels, "matchExpressions": expressions}
    return {name: value for name, value in found.items() if value}


def among(hostnames: Sequence[str]) -> dict[str, Any]:
    """The requirement that the node is one of these, by its hostname label."""
    return {"key": HOSTNAME, "operator": "In", "values": sorted(hostnames)}


def with_requirements(selector: dict[str, Any] | None, *more: dict[str, Any]) -> dict[str, Any]:
    """A selector with further requirements."""
    selector = dict(selector or {})
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *more]}
