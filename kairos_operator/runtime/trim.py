"""What is thrown away of an object as soon as it was read: what the operator never looks at, which is most of it.

A list of 5,000 nodes is tens of megabytes as parsed JSON, for a moment, and the memory of a process never shrinks to
what it was before. So lists are trimmed page by page. Only what `api.cluster` reads must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kairos_operator.api.resources import JOBS, NODES, PODS, Resource
from kairos_operator.runtime.client import Object

_NODE_STATUS = ("conditions", "nodeInfo")
_POD_SPEC = ("nodeName", "volumes")


def trimmed(res: Resource, obj: Object) -> Object:
    """`obj` without what nobody reads; it is changed in place."""
    obj["metadata"].pop("managedFields", None)
    cut = _CUTS.get(res)
    if cut is not None:
        cut(obj)
    return obj


def _node(obj: Object) -> None:
    status = _only(obj.get("status"), _NODE_STATUS)
    status["conditions"] = [one for one in status.get("conditions") or () if one.get("type") == "Ready"]
    obj["status"] = status


def _pod(obj: Object) -> None:
    obj["spec"] = _only(obj.get("spec"), _POD_SPEC)


def _job(obj: Object) -> None:
    obj.pop("spec", None)


def _only(part: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: part[name] for name in names if name in part} if part else {}


_CUTS: Mapping[Resource, Callable[[Object], None]] = {NODES: _node, PODS: _pod, JOBS: _job}
