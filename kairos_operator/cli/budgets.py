"""Which PodDisruptionBudgets stand against evicting which pods now. Pure.

The rules are the eviction API's: a pod that is pending or has ended is evicted without a budget; two budgets over one
pod refuse its eviction for ever; otherwise the budget's `disruptionsAllowed` counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kairos_operator.api.cluster import PodView
from kairos_operator.api.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget, as far as evictions ask for it."""

    namespace: str
    name: str
    selector: LabelSelector | None  # None selects nothing
    allowed: int
    healthy: int
    desired: int
    counted: bool = True  # whether the budget's controller has said anything of this spec

    @property
    def path(self) -> str:
        """The budget as users write it."""
        return f"{self.namespace}/{self.name}"

    def covers(self, pod: PodView) -> bool:
        """Whether the budget counts this pod."""
        same = pod.namespace == self.namespace and self.selector is not None
        return same and self.selector is not None and self.selector.matches(pod.labels or {})


def parse_budget(obj: Mapping[str, Any]) -> Budget:
    """A policy/v1 PodDisruptionBudget."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    return Budget(
        obj["metadata"]["namespace"],
        obj["metadata"]["name"],
        None if selector is None else LabelSelector.model_validate(selector),
        status.get("disruptionsAllowed") or 0,
        status.get("currentHealthy") or 0,
        status.get("desiredHealthy") or 0,
        (status.get("observedGeneration") or 0) >= (obj["metadata"].get("generation") or 1),
    )


@dataclass(frozen=True, slots=True)
class Standoff:
    """A budget that refuses evictions now, or two that always will, and the pods it is about."""

    budgets: tuple[Budget, ...]
    pods: tuple[PodView, ...]

    @property
    def sentence(self) -> str:
        """What it means for the drain."""
        pods, nodes = _some(pod.path for pod in self.pods), _some(pod.node for pod in self.pods)
        if len(self.budgets) > 1:
            names = " and ".join(budget.path for budget in self.budgets)
            return f"budgets {names} cover the same pods ({pods} on {nodes}), which can never be evicted"
        budget = self.budgets[0]
        state = f"{budget.healthy} healthy, {budget.desired} needed" if budget.counted else "not counted yet"
        return f"budget {budget.path} allows no eviction now ({state}): {pods} on {nodes}"


def standoffs(pods: Sequence[PodView], budgets: Sequence[Budget]) -> list[Standoff]:
    """What refuses the eviction of any of `pods` now."""
    found: dict[tuple[str, ...], tuple[tuple[Budget, ...], list[PodView]]] = {}
    for pod in pods:
        if pod.phase == "Pending" or pod.finished:
            continue
        over = tuple(budget for budget in budgets if budget.covers(pod))
        if len(over) > 1 or (over and not (over[0].counted and over[0].allowed > 0)):
            key = tuple(budget.path for budget in over)
            found.setdefault(key, (over, []))[1].append(pod)
    return [Standoff(over, tuple(covered)) for _, (over, covered) in sorted(found.items())]


def _some(names: Iterable[str], limit: int = 3) -> str:
    whole = list(dict.fromkeys(names))
    more = f" and {len(whole) - limit} more" if len(whole) > limit else ""
    return ", ".join(whole[:limit]) + more
