"""AdmissionReview (admission.k8s.io/v1) in and out: bytes to a value, and a verdict to the answer. Pure.

`mutate` fills in defaults, and refuses what has faults already: the CRD's schema is checked between the two
webhooks, and an object that fails there would show only the schema's faults. So all of them come in one answer.
`validate` checks again what other webhooks have left, and warns. An update that leaves the spec alone passes
both: labels, finalizers and owners of an object must stay editable, whatever is thought of its spec.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from kairos_operator.api.nodeop import DEFAULT_IMAGE
from kairos_operator.api.resources import GROUP, Resource
from webhooks.defaults import Filled, Operation, filled
from webhooks.faults import Fault, invalid_status
from webhooks.lookups import Lookups, NoLookups
from webhooks.oneoff import refusal, spec_changed
from webhooks.validate import Checked, checked
from webhooks.warnings import risks_of

API_VERSION = "admission.k8s.io/v1"
BAD_REQUEST = 400
SHOWN_NAME = 300
"""Characters of a name that a refusal repeats; a legal one has at most 253, and `generateName: ` before it."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # NaN and Infinity are no JSON


class Malformed(ValueError):
    """A body that is no AdmissionReview request, so that there is nothing to answer it with."""


class Request(NamedTuple):
    """What the API server asks about."""

    uid: str
    operation: str
    group: str
    kind: str
    name: str
    namespace: str
    user: str
    obj: Mapping[str, Any]
    old: Mapping[str, Any] | None


class Verdict(NamedTuple):
    """Whether the object may be stored, and what goes with that."""

    status: Mapping[str, Any] | None = None
    """The metav1.Status of a refusal; None lets the object in."""
    patch: Sequence[Operation] = ()
    warnings: Sequence[str] = ()

    @property
    def allowed(self) -> bool:
        return self.status is None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the webhooks know besides the request."""

    default_image: str = DEFAULT_IMAGE
    lookups: Lookups = field(default_factory=NoLookups)


Door = Callable[[Resource, Request, Knowledge], Verdict]


def parse(body: bytes) -> Request:
    """The request in a body. Raises Malformed."""
    review = _decoded(body)
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise Malformed("the body is not an AdmissionReview")
    if review.get("apiVersion") != API_VERSION:
        raise Malformed(f"the review's version is not {API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not _is_text(request.get("uid")):
        raise Malformed("the review has no request with a uid")
    return _parse_request(request)


def _decoded(body: bytes) -> Any:
    """The JSON in a body; what the quick parser does not take (very deep or odd text), the patient one decides."""
    with suppress(ValueError):
        return from_json(body, allow_inf_nan=False)
    try:
        return _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {type(error).__name__}") from None


def _parse_request(request: Mapping[str, Any]) -> Request:
    kind, user = _object(request.get("kind")), _object(request.get("userInfo"))
    old = request.get("oldObject")
    return Request(
        uid=request["uid"],
        operation=_text(request.get("operation")),
        group=_text(kind.get("group")),
        kind=_text(kind.get("kind")),
        name=_text(request.get("name")),
        namespace=_text(request.get("namespace")),
        user=_text(user.get("username")),
        obj=_object(request.get("object")),
        old=old if isinstance(old, dict) else None,
    )


def render(request: Request, verdict: Verdict) -> dict[str, Any]:
    """The AdmissionReview that answers `request`."""
    response: dict[str, Any] = {"uid": request.uid, "allowed": verdict.allowed}
    if verdict.status is not None:
        response["status"] = dict(verdict.status)
    if verdict.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(to_json(verdict.patch)).decode()
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def encoded(answer: Mapping[str, Any]) -> bytes:
    """An answer as JSON. A refusal may repeat text that is no Unicode, which only escapes can say."""
    try:
        return to_json(answer)
    except ValueError:
        return json.dumps(answer).encode()


def mutate(resource: Resource, request: Request, knowledge: Knowledge) -> Verdict:
    """Fills in the defaults of an object on create and update."""
    if _leaves_spec_alone(request):
        return Verdict()
    new = _filled(resource, request, request.obj, knowledge)
    faults = _checked(resource, request, new.obj, knowledge).faults
    return Verdict(_refused(resource, request, faults)) if faults else Verdict(patch=new.operations)


def validate(resource: Resource, request: Request, knowledge: Knowledge) -> Verdict:
    """Refuses an object that has faults, with all of them, and warns of what is legal and risky."""
    if _leaves_spec_alone(request):
        return Verdict()
    new = _filled(resource, request, request.obj, knowledge).obj
    spec, faults = _checked(resource, request, new, knowledge)
    if spec is None:
        return Verdict(_refused(resource, request, faults))
    return Verdict(warnings=risks_of(spec, request.namespace, knowledge.lookups, request.old))


def answer(resource: Resource, door: Door, request: Request, knowledge: Knowledge) -> Verdict:
    """The verdict of one webhook; a request about something else is refused."""
    if (request.group, request.kind) != (GROUP, resource.kind):
        said = f'this webhook is for {resource.kind}.{GROUP}, not "{request.kind}.{request.group}"'
        return Verdict(_bad_request(said))
    if request.operation not in ("CREATE", "UPDATE"):
        return Verdict()
    if request.operation == "UPDATE" and request.old is None:
        return Verdict(_bad_request("an update comes with its oldObject"))
    try:
        return door(resource, request, knowledge)
    except RecursionError:
        return Verdict(_bad_request("the object is nested too deeply"))


def _leaves_spec_alone(request: Request) -> bool:
    return request.old is not None and not spec_changed(request.old, request.obj)


def _filled(resource: Resource, request: Request, obj: Mapping[str, Any], knowledge: Knowledge) -> Filled:
    return filled(resource, obj, knowledge.default_image, request.old)


def _checked(resource: Resource, request: Request, new: Mapping[str, Any], knowledge: Knowledge) -> Checked:
    """The object with its defaults is looked at, so that leaving one out is no change of what was filled in."""
    if request.old is not None:
        old = _filled(resource, request, request.old, knowledge).obj
        if refused := refusal(resource.kind, old, new):
            return Checked(None, refused)
    return checked(resource, new)


def _refused(resource: Resource, request: Request, faults: Sequence[Fault]) -> dict[str, Any]:
    metadata = _object(request.obj.get("metadata"))
    prefix = _text(metadata.get("generateName"))
    unnamed = f"generateName: {prefix}" if prefix else ""
    name = _text(metadata.get("name")) or request.name or unnamed
    return invalid_status(resource.kind, name[:SHOWN_NAME], faults)


def _bad_request(message: str) -> dict[str, Any]:
    return {"status": "Failure", "message": message, "reason": "BadRequest", "code": BAD_REQUEST}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
