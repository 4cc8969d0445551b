"""What an audit log says of refusals: the fault that a test of rights must not overlook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.config.audit import Refusal, Right, refusals


def event(user: str, code: int, verb: str = "list", **about: Any) -> str:
    """One line of the log."""
    known = {"resource": "pods", "namespace": "default", **about}
    return json.dumps(
        {"user": {"username": user}, "verb": verb, "objectRef": known, "responseStatus": {"code": code}}
    )


def test_every_refusal_is_found_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    other = json.dumps({"user": {"username": "a"}, "verb": "get", "responseStatus": {"code": 403}})
    lines = [event("a", 200), event("a", 403), event("b", 401, "get", name="x"), event("a", 404), other]
    log.write_text("\n".join(lines) + "\n" + event("c", 403)[:-9])
    assert refusals(log) == [
        Refusal("a", Right("", "pods", "list", "default")),
        Refusal("b", Right("", "pods", "get", "default", "x")),
    ]
