"""The metadata that the server writes: k8s.io/apiserver/pkg/registry/rest, BeforeCreate and BeforeUpdate."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.sandbox.store.errors import Fault, StatusError, bad_request, conflict, invalid, modified
from tests.sandbox.store.jsondata import Object, same_json
from tests.sandbox.store.kinds import Kind

NAME_LIMIT = 63  # of a generated name
SUFFIX_LENGTH = 5
_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def timestamp(moment: datetime) -> str:
    """RFC 3339 with seconds in UTC, as metav1.Time is written."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


def parse_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def check_identity(kind: Kind, body: Object, namespace: str | None, name: str = "") -> Object:
    """The body as a new object with apiVersion, kind, name and namespace filled in; 400 where they disagree."""
    if not isinstance(body, dict):
        raise bad_request("the request body is not an object")
    version, said = body.get("apiVersion", ""), body.get("kind", "")
    if version and version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if said and said != kind.kind:
        raise bad_request(f'"{said}" is not the kind that is expected here: {kind.kind}')
    metadata = dict(body.get("metadata") or {})
    if kind.namespaced:
        if metadata.get("namespace") and metadata["namespace"] != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    elif metadata.pop("namespace", None):
        raise bad_request("namespace is not allowed on this type")
    if name:
        if metadata.get("name") and metadata["name"] != name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        metadata["name"] = name
    rest = {key: item for key, item in body.items() if key not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}


def for_create(obj: Object) -> Object:
    """The object without anything only the server may set."""
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    kept = {key: item for key, item in metadata.items() if key not in _SERVER_OWNED and item is not None}
    kept.pop("resourceVersion", None)
    return {**obj, "metadata": kept}


def generated_name(base: str, suffix: str) -> str:
    """A generateName base cut so that the five characters fit in."""
    return base[: NAME_LIMIT - SUFFIX_LENGTH] + suffix


def check_preconditions(kind: Kind, old: Object, uid: str, version: str) -> None:
    """The uid and resourceVersion preconditions of a delete; 409 Conflict where they do not hold."""
    found = old["metadata"]
    for label, wanted, real, reason in (
        ("UID", uid, found["uid"], "deleted and then recreated"),
        ("ResourceVersion", version, found["resourceVersion"], "modified"),
    ):
        if wanted and wanted != real:
            why = (
                f"the {label} in the precondition ({wanted}) does not match the {label} in record ({real}). "
            )
            raise conflict(kind.group, kind.kind, found["name"], f"{why}The object might have been {reason}")


def check_uid(kind: Kind, old: Object, uid: str) -> None:
    """The uid that the body of a PUT carries; 409 Conflict where it is another object's."""
    found = old["metadata"]
    if uid and uid != found["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found['uid']}"
        raise conflict(kind.group, kind.plural, found["name"], why)


def for_update(kind: Kind, new: Object, old: Object) -> Object:
    """The new object with what an update cannot change taken from the old; checks the optimistic lock."""
    metadata, before = dict(new["metadata"]), old["metadata"]
    version = metadata.get("resourceVersion")
    if not version and not kind.unconditional:
        raise _unversioned(kind, before["name"])
    if version and version != before["resourceVersion"]:
        raise modified(kind.group, kind.plural, before["name"])
    faults = [
        Fault("Invalid", f"metadata.{key}", metadata[key], "field is immutable")
        for key in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")
        if metadata.get(key) and metadata[key] != before.get(key)
    ]
    if faults:
        raise invalid(kind.group, kind.kind, before["name"], faults)
    for key in (*_SERVER_OWNED, "resourceVersion", "generateName"):
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    return {
        **new,
        "metadata": {
            key: item for key, item in metadata.items() if item is not None and item != {} and item != []
        },
    }


def nameless(kind: Kind) -> StatusError:
    """The refusal of an object that has neither name nor generateName."""
    fault = Fault("Required", "metadata.name", None, "name or generateName is required")
    return invalid(kind.group, kind.kind, "", [fault])


def _unversioned(kind: Kind, name: str) -> StatusError:
    fault = Fault("Invalid", "metadata.resourceVersion", 0, "must be specified for an update")
    return invalid(kind.group, kind.kind, name, [fault])


def finalizer_faults(new: Object, old: Object) -> list[Fault]:
    """No finalizer may be added to an object that is being deleted."""
    if not old["metadata"].get("deletionTimestamp"):
        return []
    before = old["metadata"].get("finalizers") or []
    added = [one for one in new["metadata"].get("finalizers") or [] if one not in before]
    if not added:
        return []
    shown = "[]string{" + ", ".join(f'"{one}"' for one in added) + "}"
    text = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
    return [Fault("Forbidden", "metadata.finalizers", None, text)]


def bumped(kind: Kind, new: Object, old: Object) -> Object:
    """The new object with metadata.generation counted up if what it counts has changed."""
    if not kind.generation or not _counts(kind, new, old):
        return new
    generation = int(old["metadata"].get("generation", 0)) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def _counts(kind: Kind, new: Object, old: Object) -> bool:
    if not kind.custom and "spec" in new:
        return not same_json(new["spec"], old.get("spec"))
    ignored = {"metadata", "status"} if kind.status else {"metadata"}
    keys = (new.keys() | old.keys()) - ignored
    return any(not same_json(new.get(key), old.get(key)) for key in keys)
