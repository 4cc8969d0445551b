"""Who asked the API server for what: rights as rules give them, and as an audit log shows them used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"], "resources": [{"group": "*"}]},
        # "*" does not name the core group.
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"], "resources": [{"group": ""}]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource (with its subresource), in the cluster or one namespace, on all names or one."""

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def covers(self, other: Right) -> bool:
        """Whether whoever has this right may make the request `other`."""
        same = (self.group, self.resource, self.verb) == (other.group, other.resource, other.verb)
        return same and self.namespace in ("", other.namespace) and self.name in ("", other.name)


def granted(manifests: Iterable[Mapping[str, Any]], account: str) -> set[Right]:
    """What the roles that are bound to a ServiceAccount grant, each right on its own."""
    found = list(manifests)
    roles = {(one["kind"], one["metadata"]["name"]): one for one in found if "rules" in one}
    rights: set[Right] = set()
    for binding in found:
        subjects = [subject["name"] for subject in binding.get("subjects") or ()]
        if account in subjects:
            role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
            rights.update(_rights(role["rules"], binding["metadata"].get("namespace", "")))
    return rights


def _rights(rules: Iterable[Mapping[str, Any]], namespace: str) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames") or [""]:
                        yield Right(group, resource, verb, namespace, name)


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request."""

    right: Right
    code: int


def requests(log: Path, user: str) -> list[Request]:
    """What a user asked for, of resources, in order."""
    return [one for who, one in _requests(log) if who == user]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that somebody was not allowed to make."""

    user: str
    right: Right


def refusals(log: Path) -> list[Refusal]:
    """What was refused to anybody, for want of a right or of a login."""
    return [Refusal(who, one.right) for who, one in _requests(log) if one.code in (401, 403)]


def _requests(log: Path) -> Iterator[tuple[str, Request]]:
    """All of it, each with its user. A line that is being written is left out."""
    for line in log.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        event = json.loads(line)
        about = event.get("objectRef")
        if about is None:
            continue
        resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
        right = Right(
            about.get("apiGroup", ""),
            resource,
            event["verb"],
            about.get("namespace", ""),
            about.get("name", "") if event["verb"] != "create" or about.get("subresource") else "",
        )
        yield event["user"]["username"], Request(right, event.get("responseStatus", {}).get("code", 0))
