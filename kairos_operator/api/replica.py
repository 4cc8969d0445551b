"""The operator's own pods, as a hand-over sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kairos_operator.api.objects import Owner, parse_owner


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A pod of the operator itself."""

    name: str
    uid: str
    node: str
    labels: Mapping[str, str]
    owner: Owner | None
    ready: bool = False
    ending: bool = False


def parse_replica(obj: Mapping[str, Any]) -> ReplicaView:
    """The view of a v1 Pod that runs the operator."""
    metadata = obj["metadata"]
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return ReplicaView(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        node=(obj.get("spec") or {}).get("nodeName", ""),
        labels=metadata.get("labels") or {},
        owner=parse_owner(metadata),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions),
        ending="deletionTimestamp" in metadata,
    )
