"""An operation runs once: from its start on, its spec does not change.

The CRD's CEL rule says the same where no webhook runs; this one adds what became of the object and the two lines
that get the user what they wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kairos_operator.api.status import Phase
from webhooks.faults import Fault, FaultType

_NOT_STARTED = (None, "", Phase.PENDING.value)


def has_started(obj: Mapping[str, Any]) -> bool:
    """Whether the operation has begun, by its status."""
    return _part(obj, "status").get("phase") not in _NOT_STARTED


def spec_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an update is about the spec at all."""
    return old.get("spec") != new.get("spec")


def refusal(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Fault]:
    """The fault of an update that changes the spec of an operation that has started, or none."""
    if not has_started(old) or not spec_changed(old, new):
        return []
    name = str(_part(old, "metadata").get("name", ""))
    detail = "\n".join(
        [
            f'{kind} "{name}" {story(_part(old, "status"))}. Its spec no longer changes: an operation runs once.',
            "To run it again, make a new object from the same file:",
            f'  in place of "name: {name}", write "generateName: {prefix_of(name)}"',
            "  kubectl create -f <file>",
        ]
    )
    return [Fault(("spec",), FaultType.FORBIDDEN, detail)]


def prefix_of(name: str) -> str:
    """A generateName in the likeness of `name`."""
    return f"{name[:57].rstrip('-.')}-"


def story(status: Mapping[str, Any]) -> str:
    """What became of an operation, as the predicate of a sentence."""
    phase = status.get("phase")
    summary = _part(status, "summary")
    counts = [
        f"{summary[name]} {name}"
        for name in ("completed", "skipped", "failed", "running", "pending")
        if summary.get(name)
    ]
    nodes = f" ({summary.get('total')} nodes: {', '.join(counts)})" if counts else ""
    started = f" at {status['startedAt']}" if status.get("startedAt") else ""
    ended = f" at {status['completedAt']}" if status.get("completedAt") else ""
    if phase == Phase.COMPLETED.value:
        return f"has started{started} and completed{ended}{nodes}"
    if phase == Phase.FAILED.value:
        return f"has started{started} and failed{ended}{nodes}"
    return f"has started{started} and is running{nodes}"


def _part(obj: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = obj.get(name)
    return part if isinstance(part, dict) else {}
