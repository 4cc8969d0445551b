"""Authentication and authorization reviews: whoever has a token may do everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.sandbox.store import Object

_ADMIN = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}


def review(kind: str, body: Any, known: Callable[[str], bool]) -> Object:
    """The review with its status; `known` says whether a token is one of this server's."""
    found: Object = dict(body) if isinstance(body, dict) else {}
    found.setdefault("metadata", {})
    if kind == "TokenReview":
        token = (found.get("spec") or {}).get("token", "")
        found["status"] = {"authenticated": True, "user": _ADMIN} if known(token) else {"user": {}}
    elif kind == "SelfSubjectReview":
        found["status"] = {"userInfo": _ADMIN}
    elif kind == "SelfSubjectRulesReview":
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        found["status"] = {"resourceRules": [everything], "nonResourceRules": [paths], "incomplete": False}
    else:
        found["status"] = {"allowed": True}
    return found
