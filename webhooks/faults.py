"""What is wrong with an object, said as the API server says it.

The texts follow apimachinery's field.Error, so that a fault found here and one found by the API server read the
same, and so that tools that read `status.details.causes` (kubectl among them) show both the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kairos_operator.api.resources import GROUP

SHOWN_VALUE = 128
"""Characters of a faulty value that a message repeats; a value may be a whole script."""
SHOWN_KEY = 320
"""Characters of a key that a field's path repeats; a legal label key has at most 317."""
MAX_FAULTS = 100
"""Faults that one answer lists: a hostile object has as many as its megabytes allow, each with a text of its own."""
UNPROCESSABLE = 422
Path = tuple[str | int, ...]


class FaultType(Enum):
    """The kinds of field.Error: the words of the message, and the reason of the cause."""

    REQUIRED = ("Required value", "FieldValueRequired", False)
    FORBIDDEN = ("Forbidden", "FieldValueForbidden", False)
    TOO_LONG = ("Too long", "FieldValueTooLong", False)
    INVALID = ("Invalid value", "FieldValueInvalid", True)
    WRONG_TYPE = ("Invalid value", "FieldValueTypeInvalid", True)
    NOT_SUPPORTED = ("Unsupported value", "FieldValueNotSupported", True)
    TOO_MANY = ("Too many", "FieldValueTooMany", True)

    def __init__(self, words: str, reason: str, shows_value: bool) -> None:
        self.words = words
        self.reason = reason
        self.shows_value = shows_value


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one field."""

    path: Path
    type: FaultType
    detail: str = ""
    value: Any = None

    @property
    def field(self) -> str:
        """The field's path as the API server writes it."""
        return field_path(self.path)

    @property
    def body(self) -> str:
        """The fault without its field."""
        parts = [self.type.words]
        if self.type.shows_value:
            parts.append(shown(self.value))
        if self.detail:
            parts.append(self.detail)
        return ": ".join(parts)

    @property
    def cause(self) -> dict[str, str]:
        """The fault as a metav1.StatusCause."""
        return {"reason": self.type.reason, "message": self.body, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def field_path(path: Sequence[str | int]) -> str:
    """A path as the API server writes it: `spec.matchExpressions[0].key`; keys of label maps in brackets."""
    text = ""
    before: str | int = ""
    for step in path:
        name = step if isinstance(step, int) or len(step) <= SHOWN_KEY else f"{step[:SHOWN_KEY]}..."
        if isinstance(step, int) or before in ("matchLabels", "labels", "annotations"):
            text += f"[{name}]"
        else:
            text += f".{name}" if text else str(name)
        before = step
    return text or "<nil>"


def shown(value: Any) -> str:
    """A value as Go's %q and %v would show it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= SHOWN_VALUE:
        return text
    end = '..."' if isinstance(value, str) else "..."
    return text[: SHOWN_VALUE - len(end)] + end


def ordered(faults: Iterable[Fault]) -> list[Fault]:
    """The faults in the order of their fields, each said once."""
    once = {str(fault): fault for fault in faults}
    return sorted(
        once.values(), key=lambda fault: [(isinstance(step, str), str(step)) for step in fault.path]
    )


def first_of(faults: Sequence[Fault], path: Path) -> list[Fault]:
    """As many of the faults as one answer lists; the last one says, of the field at `path`, that there are more."""
    if len(faults) <= MAX_FAULTS:
        return list(faults)
    more = Fault(path, FaultType.TOO_MANY, "further faults are not listed", MAX_FAULTS)
    return [*faults[:MAX_FAULTS], more]


def invalid_status(kind: str, name: str, faults: Sequence[Fault]) -> dict[str, Any]:
    """The metav1.Status of apimachinery's errors.NewInvalid; kubectl prints its causes as a list."""
    texts = [str(fault) for fault in faults]
    said = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return {
        "status": "Failure",
        "message": f'{kind}.{GROUP} "{name}" is invalid: {said}',
        "reason": "Invalid",
        "details": {
            "name": name,
            "group": GROUP,
            "kind": kind,
            "causes": [fault.cause for fault in faults],
        },
        "code": UNPROCESSABLE,
    }
