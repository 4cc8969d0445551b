"""metav1.LabelSelector: which nodes an operation is for.

Matching follows apimachinery's labels.Requirement: `NotIn` and `DoesNotExist` also match where the key is
missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from kairos_operator.api.base import ApiModel

# apimachinery's validation.IsQualifiedName: an optional DNS prefix, then at most 63 characters.
LABEL_KEY = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
# apimachinery's validation.IsValidLabelValue
LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]


class Operator(StrEnum):
    """How a requirement's values relate to the label's."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelSelectorRequirement(ApiModel):
    """One requirement on one label."""

    key: Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY)]
    """The label key that the requirement is for."""
    operator: Operator
    """How the label relates to the values: In, NotIn, Exists or DoesNotExist."""
    values: Annotated[list[LabelValue] | None, Field(max_length=256)] = None
    """The values: at least one with In and NotIn, none with Exists and DoesNotExist."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet the requirement."""
        present = self.key in labels
        if self.operator is Operator.EXISTS:
            return present
        if self.operator is Operator.DOES_NOT_EXIST:
            return not present
        named = present and labels[self.key] in (self.values or [])
        return named if self.operator is Operator.IN else not named


class LabelSelector(ApiModel):
    """A label query: every matchLabels pair and every requirement must hold; an empty one matches all."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    match_labels: Annotated[dict[str, LabelValue] | None, Field(max_length=64)] = None
    """Labels that must be there with exactly these values."""
    match_expressions: Annotated[list[LabelSelectorRequirement] | None, Field(max_length=64)] = None
    """Requirements that must all hold."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with `labels` is selected."""
        return all(labels.get(key) == value for key, value in (self.match_labels or {}).items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions or []
        )
