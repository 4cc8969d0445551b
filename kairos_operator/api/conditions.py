"""Conditions in the style of the Kubernetes API conventions, readable by kubectl wait and by kstatus.

kstatus (what Argo CD and Flux judge health by) reads `Reconciling: True` as in progress and `Stalled: True`
as failed; `Complete` and `Failed` are what a batch/v1 Job has.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from kairos_operator.api.base import ApiModel, Time


class ConditionType(StrEnum):
    """The conditions that an operation may have."""

    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    COMPLETE = "Complete"
    FAILED = "Failed"
    PAUSED = "Paused"
    DRAIN_BLOCKED = "DrainBlocked"
    DETAILS_FOLDED = "DetailsFolded"


class Condition(ApiModel):
    """One observation of an operation's state (metav1.Condition)."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, as one word for programs."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, as a sentence for people."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: int | None = None
    """The generation of the spec that the condition was computed from."""


def carried_over(wanted: Sequence[Condition], stored: Sequence[Condition]) -> list[Condition]:
    """`wanted`, with the transition time of `stored` wherever the status has not changed."""
    before = {condition.type: condition for condition in stored}
    kept = []
    for condition in wanted:
        old = before.get(condition.type)
        if old is not None and old.status == condition.status:
            condition = condition.model_copy(update={"last_transition_time": old.last_transition_time})
        kept.append(condition)
    return kept
