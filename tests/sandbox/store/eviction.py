"""The eviction subresource: a deletion that a PodDisruptionBudget may refuse (registry/core/pod/rest/eviction.go).

What the disruption controller would have written into the budget's status is computed from the pods at the time
of the request, so a budget is never out of date here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.sandbox.store.deletes import DeleteOptions, delete
from tests.sandbox.store.errors import StatusError, not_found
from tests.sandbox.store.jsondata import Object, dig
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.selectors import structured
from tests.sandbox.store.shelf import Key
from tests.sandbox.store.writes import Steps

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

_PODS = ("", "pods")
_BUDGETS = ("policy", "poddisruptionbudgets")
_SCALES = {
    "ReplicaSet": ("apps", "replicasets"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "Job": ("batch", "jobs"),
}


@dataclass(frozen=True, slots=True)
class Health:
    """A budget's arithmetic: the fields of its status."""

    expected: int
    healthy: int
    desired: int

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected > 0 else 0


def evict(store: State, pods: Kind, key: Key, wanted: DeleteOptions) -> Steps:
    """The steps of a POST to pods/eviction; 429 TooManyRequests where a budget forbids it."""
    pod = store.find(pods, key)
    if pod is None:
        raise not_found("", "pods", key[1])
    if not _unguarded(pod):
        _ask_budget(store, pod)
        if not wanted.resource_version:
            wanted = replace(wanted, uid=wanted.uid or pod["metadata"]["uid"])
    return (yield from delete(store, pods, key, wanted))


def _unguarded(pod: Object) -> bool:
    """Whether budgets do not count for this pod: it is over, not yet running, or already going."""
    phase = dig(pod, "status", "phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _ask_budget(store: State, pod: Object) -> None:
    namespace = pod["metadata"]["namespace"]
    budgets = [
        one
        for one in store.objects(_BUDGETS)
        if one["metadata"]["namespace"] == namespace and structured(dig(one, "spec", "selector"))(pod)
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        text = (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
        raise StatusError(500, "InternalError", text, details={})
    budget = budgets[0]
    health = health_of(budget, store.objects(_PODS), store.objects)
    if not ready(pod):
        policy = dig(budget, "spec", "unhealthyPodEvictionPolicy", default="IfHealthyBudget")
        if policy == "AlwaysAllow" or health.healthy >= health.desired > 0:
            return
    if health.allowed < 1:
        raise _refused(budget["metadata"]["name"], health)


def _refused(name: str, health: Health) -> StatusError:
    text = (
        f"The disruption budget {name} needs {health.desired} healthy pods and has {health.healthy} currently"
    )
    cause = {"reason": "DisruptionBudget", "message": text}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", message, details={"causes": [cause]})


def ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    conditions = dig(pod, "status", "conditions", default=[])
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def health_of(
    budget: Object, pods: Iterable[Object], objects: Callable[[tuple[str, str]], Iterable[Object]]
) -> Health:
    """What the disruption controller would find for a budget among these pods."""
    spec, namespace = budget.get("spec") or {}, budget["metadata"]["namespace"]
    matches = structured(spec.get("selector"))
    selected = [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == namespace
        and matches(pod)
        and dig(pod, "status", "phase") not in ("Succeeded", "Failed")
    ]
    healthy = sum(ready(pod) and not pod["metadata"].get("deletionTimestamp") for pod in selected)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        expected = _scale(selected, objects)
        return Health(expected, healthy, max(0, expected - _scaled(most, expected)))
    if isinstance(least, str):
        expected = _scale(selected, objects)
        return Health(expected, healthy, _scaled(least, expected))
    return Health(len(selected), healthy, 1 if least is None else int(least))


def _scaled(value: int | str, total: int) -> int:
    return math.ceil(int(value.rstrip("%")) * total / 100) if isinstance(value, str) else value


def _scale(pods: list[Object], objects: Callable[[tuple[str, str]], Iterable[Object]]) -> int:
    """How many pods the controllers of these pods want together."""
    total, seen = 0, set()
    for pod in pods:
        owner = next(
            (one for one in pod["metadata"].get("ownerReferences") or [] if one.get("controller")), None
        )
        if owner is None or owner["kind"] not in _SCALES:
            total += 1
        elif owner["uid"] not in seen:
            seen.add(owner["uid"])
            found = [one for one in objects(_SCALES[owner["kind"]]) if one["metadata"]["uid"] == owner["uid"]]
            wants = dig(found[0], "spec", "replicas", default=1) if found else _children(pods, owner["uid"])
            total += int(wants)
    return total


def _children(pods: list[Object], uid: str) -> int:
    return sum(any(one["uid"] == uid for one in pod["metadata"].get("ownerReferences") or []) for pod in pods)
