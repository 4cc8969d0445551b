"""What can go wrong between the operator and Kubernetes, as types.

The message of an `ApiError` is the API server's own, word for word: it is written for users, and so ends in
conditions and events. `retryable` tells whether the same call may succeed later without anybody changing an
object or a right in between; the caller decides when.

Source of the mapping: the API conventions, "HTTP Status codes" and "Response Status Kind".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class NotLeader(Exception):
    """This replica does not surely hold the lease (any more), so nothing may be written."""


class NoCluster(Exception):
    """No usable way to a cluster was found: kubeconfig, context or service account are missing or broken."""


class ApiError(Exception):
    """The API server refused a call.

    `status` is the HTTP status (0: no answer), `reason` the machine-readable one of the Status object,
    `retry_after` the seconds that the server asked to wait, `details` what it said beside the message.
    """

    retryable: bool = False

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.details: Mapping[str, Any] = details or {}

    @property
    def causes(self) -> tuple[str, ...]:
        """The messages of the single causes, such as the budget that forbids an eviction."""
        found = self.details.get("causes") or ()
        return tuple(str(cause.get("message", "")) for cause in found if isinstance(cause, Mapping))


class Conflict(ApiError):
    """409: the object changed in between, or another precondition does not hold. Observe again."""

    retryable = True


class AlreadyExists(ApiError):
    """409 on a create: an object of that name is there already."""


class NotFound(ApiError):
    """404: no such object, or no such resource."""


class Gone(ApiError):
    """410: the resourceVersion or the continue token is too old. List again."""

    retryable = True


class Invalid(ApiError):
    """422 or 400: the object or the call itself is wrong. Admission webhooks refuse with 400 and 403 too."""


class Forbidden(ApiError):
    """403: RBAC, a quota, an admission policy or a namespace that is being deleted forbids it."""


class Unauthorized(ApiError):
    """401, also after logging in again: the credentials are not (yet) valid."""

    retryable = True


class TooManyRequests(ApiError):
    """429: wait `retry_after` seconds. For an eviction: a PodDisruptionBudget forbids it for now."""

    retryable = True


class ServerError(ApiError):
    """5xx: the server could not answer. The effect may have happened."""

    retryable = True


class Unreachable(ApiError):
    """No answer: refused, reset, cut or timed out. The effect may have happened."""

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(0, "Unreachable", message)


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def from_status(
    status_code: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> ApiError:
    """The typed error for an answer that is not a success, or for the object of an ERROR watch event.

    A body that is no Status object (a proxy's page, plain text) becomes the message, cut to 500 characters.
    """
    told = _parse_status(body)
    reason = str(told.get("reason") or "")
    message = str(told.get("message") or reason or f"the API server answered with HTTP {status_code}")
    details = told.get("details")
    details = details if isinstance(details, Mapping) else {}
    retry_after = _parse_retry_after(headers or {}, details)
    return _class_of(status_code, reason)(status_code, reason, message, retry_after, details)


def _class_of(status_code: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason in ("Expired", "Gone"):
        return Gone
    if status_code == 501:
        return ApiError  # what the server does not implement, it will not implement in a minute either
    if status_code >= 500:
        return ServerError
    return _BY_STATUS.get(status_code, ApiError)


def _parse_status(body: Mapping[str, Any] | bytes) -> Mapping[str, Any]:
    if isinstance(body, Mapping):
        return body
    try:
        parsed = json.loads(body)
    except ValueError:
        return {"message": body.decode(errors="replace").strip()[:500]}
    return parsed if isinstance(parsed, Mapping) else {}


def _parse_retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    """Seconds from the header, else from the Status; the header's date form is not used by Kubernetes."""
    for told in (headers.get("Retry-After"), details.get("retryAfterSeconds")):
        try:
            seconds = float(told)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if seconds > 0:
            return seconds
    return None
