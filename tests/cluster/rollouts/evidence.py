"""All that is known of one scenario, and how its objects are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from tests.cluster.rollouts.recorder import Obj, Recorder
from tests.sandbox.fleet import Journal

_TIMES = ("lastUpdated",)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one scenario."""

    recorder: Recorder
    journal: Journal
    uncordoned_by_person: Counter[str]
    rebooted_by_fate: Counter[str]
    """Reboots that the scenario itself ordered, by node."""


def claim_of(op: Obj) -> str:
    """An operation as nodes' annotations name it."""
    metadata = op["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}@{metadata['uid']}"


def is_cordoned(node: Obj) -> bool:
    """Whether a Node is unschedulable."""
    return bool(node["spec"].get("unschedulable"))


def annotation(obj: Obj, name: str) -> str:
    """The value of an annotation; empty where there is none."""
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def status(obj: Obj) -> Mapping[str, Any]:
    """The status of an operation; empty before the first."""
    found: Mapping[str, Any] = obj.get("status") or {}
    return found


def phase(obj: Obj) -> str:
    """The phase of an operation."""
    return str(status(obj).get("phase") or "Pending")


def nodes_of(obj: Obj) -> Mapping[str, Mapping[str, Any]]:
    """What an operation says of each node."""
    nodes: Mapping[str, Mapping[str, Any]] = status(obj).get("nodeStatuses") or {}
    return nodes


def timeless(obj: Obj) -> Any:
    """An operation's status without the times at which it was written."""
    told = {key: value for key, value in status(obj).items() if key not in _TIMES}
    nodes = nodes_of(obj)
    bare = {name: {k: v for k, v in node.items() if k not in _TIMES} for name, node in nodes.items()}
    return {**told, "nodeStatuses": bare}


def story(recorder: Recorder) -> str:
    """How the operations stand, for whoever reads a fault."""
    lines = []
    for resource in (NODE_OP_UPGRADES, NODE_OPS):
        for (namespace, name), op in recorder.latest[resource].items():
            lines.append(f"{resource.kind} {namespace}/{name}: {phase(op)}: {status(op).get('message')}")
            held = {
                key: op["metadata"].get(key) for key in ("deletionTimestamp", "finalizers", "ownerReferences")
            }
            lines.append(f"  {held}")
            if resource is NODE_OPS:
                lines += [
                    f"  {node}: {one['phase']} {one.get('step')}: {one.get('message')}"
                    for node, one in nodes_of(op).items()
                ]
    return "\n".join(lines)
