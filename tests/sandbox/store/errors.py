"""The store's one error: an exception that carries the metav1.Status the API server would have answered.

The wording follows k8s.io/apimachinery/pkg/api/errors, since clients and users read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

FaultType = Literal[
    "Required",
    "Invalid",
    "NotSupported",
    "Forbidden",
    "TooLong",
    "TooMany",
    "TypeInvalid",
    "Duplicate",
    "NotFound",
]

OMITTED = object()  # a fault's value that is not printed
_CAUSES: dict[str, tuple[str, str]] = {
    "Required": ("FieldValueRequired", "Required value"),
    "Invalid": ("FieldValueInvalid", "Invalid value"),
    "NotSupported": ("FieldValueNotSupported", "Unsupported value"),
    "Forbidden": ("FieldValueForbidden", "Forbidden"),
    "TooLong": ("FieldValueTooLong", "Too long"),
    "TooMany": ("FieldValueTooMany", "Too many"),
    "TypeInvalid": ("FieldValueTypeInvalid", "Invalid value"),
    "NotFound": ("FieldValueNotFound", "Not found"),
    "Duplicate": ("FieldValueDuplicate", "Duplicate value"),
}


class StatusError(Exception):
    """A refused request; `status` is the metav1.Status of the answer."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if not reason:  # some internal errors of the API server have none
            del self.status["reason"]
        if details is not None or retry_after is not None:
            self.status["details"] = dict(details or {})
        if retry_after is not None:
            self.status["details"]["retryAfterSeconds"] = retry_after


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an object: field path, kind of fault, offending value and text."""

    type: FaultType
    field: str
    value: Any = None
    detail: str = ""

    def body(self) -> str:
        """The message without the field path, as field.Error.ErrorBody prints it."""
        head = _CAUSES[self.type][1]
        if self.value is OMITTED or self.type in ("Required", "Forbidden", "TooLong", "TooMany"):
            text = head
        else:
            text = f"{head}: {printed(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def cause(self) -> dict[str, str]:
        """The entry of status.details.causes."""
        return {"reason": _CAUSES[self.type][0], "message": self.body(), "field": self.field}


def printed(value: Any) -> str:
    """A value as field errors show it: strings quoted, the rest as JSON."""
    if value is None:
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def resource_name(group: str, plural: str) -> str:
    """`jobs.batch`, or `pods` for the core group."""
    return f"{plural}.{group}" if group else plural


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    found = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in found.items() if value}


def not_found(group: str, plural: str, name: str) -> StatusError:
    message = f'{resource_name(group, plural)} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_details(group, plural, name))


def no_such_path() -> StatusError:
    """An unknown group, version or resource."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(group: str, plural: str, name: str) -> StatusError:
    message = f'{resource_name(group, plural)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_details(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {resource_name(group, plural)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_details(group, plural, name))


def modified(group: str, plural: str, name: str) -> StatusError:
    """The optimistic lock's refusal."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, plural, name, why)


def invalid(group: str, kind: str, name: str, faults: list[Fault]) -> StatusError:
    texts = [f"{fault.field}: {fault.body()}" for fault in faults]
    texts = list(dict.fromkeys(texts))
    said = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    shown = f"{kind}.{group}" if group else kind
    details = {**_details(group, kind, name), "causes": [fault.cause() for fault in faults]}
    return StatusError(422, "Invalid", f'{shown} "{name}" is invalid: {said}', details=details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> StatusError:
    shown = f'{resource_name(group, plural)} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", shown, details=_details(group, plural, name))


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def method_not_allowed(
    message: str = "the server does not allow this method on the requested resource",
) -> StatusError:
    return StatusError(405, "MethodNotAllowed", message, details={})


def not_implemented(what: str) -> StatusError:
    """The honest answer for what this server does not do."""
    return StatusError(501, "NotImplemented", f"the sandbox API server does not do this: {what}")
