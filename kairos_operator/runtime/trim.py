"""What is thrown away of an object as soon as it was read: what the operator never looks at, which is most of it.

A list of 5,000 nodes is tens of megabytes as parsed JSON, for a moment, and the memory of a process never shrinks to
what it was before. So lists are trimmed page by page. Only what `api.cluster` reads must stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from kairos_operator.api.cluster import MIRROR
from kairos_operator.api.resources import JOBS, NODES, PODS, Resource
from kairos_operator.runtime.client import Object

_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences")
_METADATA_TIMES = ("creationTimestamp", "deletionTimestamp")
_NODE_SPEC = ("unschedulable",)
_NODE_STATUS = ("conditions", "nodeInfo")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_NODE_INFO = ("bootID",)
_POD_SPEC = ("nodeName", "volumes")
_POD_STATUS = ("phase", "reason", "message", "initContainerStatuses", "containerStatuses")


def trimmed(res: Resource, obj: Object) -> Object:
    """`obj` without what nobody reads; it is changed in place."""
    obj["metadata"].pop("managedFields", None)
    cut = _CUTS.get(res)
    if cut is not None:
        obj["metadata"] = _metadata(obj["metadata"])
        cut(obj)
    return obj


def _metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without other people's annotations, and each label's text once for all pages of a list."""
    kept = _only(found, (*_METADATA, *_METADATA_TIMES))
    if "annotations" in kept:
        kept["annotations"] = {key: text for key, text in kept["annotations"].items() if _ours(key)}
    if "labels" in kept:
        kept["labels"] = _texts_once(kept["labels"])
    return kept


def _texts_once(found: Mapping[str, str | None]) -> dict[str, str]:
    """The same with texts that are shared by all objects that have them; a time that nobody set is null."""
    return {sys.intern(key): sys.intern(text) for key, text in found.items() if text is not None}


def _ours(annotation: str) -> bool:
    return annotation == MIRROR or annotation.partition("/")[0].endswith("kairos.io")


def _node(obj: Object) -> None:
    status = _only(obj.get("status"), _NODE_STATUS)
    ready = (one for one in status.get("conditions") or () if one.get("type") == "Ready")
    status["conditions"] = [_texts_once(_only(one, _CONDITION)) for one in ready]
    status["nodeInfo"] = _only(status.get("nodeInfo"), _NODE_INFO)
    obj["spec"], obj["status"] = _only(obj.get("spec"), _NODE_SPEC), status


def _pod(obj: Object) -> None:
    obj["spec"] = _only(obj.get("spec"), _POD_SPEC)
    obj["status"] = _only(obj.get("status"), _POD_STATUS)


def _job(obj: Object) -> None:
    obj.pop("spec", None)


def _only(part: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: part[name] for name in names if name in part} if part else {}


_CUTS: Mapping[Resource, Callable[[Object], None]] = {NODES: _node, PODS: _pod, JOBS: _job}
