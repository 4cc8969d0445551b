"""The small built-in kinds: namespaces, nodes, secrets, events, leases and budgets."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.sandbox.store.errors import Fault
from tests.sandbox.store.jsondata import Object, copy_json, dig, same_json, without

Name = tuple[str, str]


def decoded(name: Name, obj: Object) -> Object:
    """The object with this kind's defaults and conversions."""
    if name == ("", "nodes"):
        return {**obj, "spec": obj.get("spec") or {}}
    if name == ("", "secrets"):
        return _secret(obj)
    if name == ("apiextensions.k8s.io", "customresourcedefinitions"):
        return _definition(obj)
    if name[0] == "admissionregistration.k8s.io":
        return _webhooks(obj)
    return obj


def _secret(obj: Object) -> Object:
    secret = {**without(obj, "stringData"), "type": obj.get("type") or "Opaque"}
    data = dict(obj.get("data") or {})
    for key, value in (obj.get("stringData") or {}).items():
        data[key] = base64.b64encode(value.encode()).decode()
    if data:
        secret["data"] = data
    return secret


def _definition(obj: Object) -> Object:
    spec: Object = dict(obj.get("spec") or {})
    names: Object = dict(spec.get("names") or {})
    kind = str(names.get("kind", ""))
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec["names"] = names
    spec.setdefault("conversion", {"strategy": "None"})
    return {**obj, "spec": spec}


def _webhooks(obj: Object) -> Object:
    obj = copy_json(obj)
    for hook in obj.get("webhooks") or []:
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("timeoutSeconds", 10)
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        if obj.get("kind") == "MutatingWebhookConfiguration":
            hook.setdefault("reinvocationPolicy", "Never")
        for rule in hook.get("rules") or []:
            rule.setdefault("scope", "*")
        if "service" in (hook.get("clientConfig") or {}):
            hook["clientConfig"]["service"].setdefault("port", 443)
    return obj


def new_namespace(obj: Object) -> Object:
    """A fresh namespace: active, with the label that names it."""
    metadata = obj["metadata"]
    labels = {"kubernetes.io/metadata.name": metadata["name"], **(metadata.get("labels") or {})}
    return {
        **obj,
        "metadata": {**metadata, "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def faults(name: Name, new: Object, old: Object | None) -> list[Fault]:
    """What is wrong with an object of one of these kinds."""
    check = _CHECKS.get(name)
    return check(new, old) if check else []


def _core_event(new: Object, old: Object | None) -> list[Fault]:
    if new.get("eventTime"):
        return _new_event(new, old)
    namespace, own = dig(new, "involvedObject", "namespace", default=""), new["metadata"]["namespace"]
    if namespace == own or (not namespace and own == "default"):
        return []
    return [Fault("Invalid", "involvedObject.namespace", namespace, "does not match event.namespace")]


def _new_event(new: Object, old: Object | None) -> list[Fault]:
    """The rules of events.k8s.io/v1, on the object as the core API stores it."""
    found = []
    if old is not None and old.get("eventTime"):
        changed = [key for key in new.keys() | old.keys() if not same_json(new.get(key), old.get(key))]
        fixed = sorted(set(changed) - {"metadata", "series", "count", "lastTimestamp", "firstTimestamp"})
        return [Fault("Invalid", _SHOWN.get(key, key), new.get(key), "field is immutable") for key in fixed]
    if not new.get("eventTime"):
        found.append(Fault("Required", "eventTime"))
    for key in ("reportingComponent", "reportingInstance", "action", "reason"):
        if not new.get(key):
            found.append(Fault("Required", _SHOWN.get(key, key)))
        elif len(new[key]) > 128:
            found.append(Fault("TooLong", _SHOWN.get(key, key), None, "may not be more than 128 bytes"))
    if len((new.get("message") or "").encode()) > 1024:
        found.append(Fault("TooLong", "note", None, "may not be more than 1024 bytes"))
    if new.get("type") not in ("Normal", "Warning"):
        found.append(Fault("Invalid", "type", new.get("type", ""), 'has invalid value: ""'))
    # An event about something without a namespace, such as a node, lives in one of two.
    own = new["metadata"]["namespace"]
    if not dig(new, "involvedObject", "namespace") and own not in ("default", "kube-system"):
        found.append(Fault("Invalid", "involvedObject.namespace", "", "does not match event.namespace"))
    return found


_SHOWN = {"reportingComponent": "reportingController", "message": "note", "involvedObject": "regarding"}


def _lease(new: Object, old: Object | None) -> list[Fault]:
    del old
    spec = new.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        return [Fault("Invalid", "spec.leaseDurationSeconds", seconds, "must be greater than 0")]
    return []


def _budget(new: Object, old: Object | None) -> list[Fault]:
    del old
    spec = new.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [Fault("Invalid", "spec", spec, "minAvailable and maxUnavailable cannot be both set")]
    return []


_CHECKS: dict[Name, Callable[[Object, Object | None], list[Fault]]] = {
    ("", "events"): _core_event,
    ("events.k8s.io", "events"): _new_event,
    ("coordination.k8s.io", "leases"): _lease,
    ("policy", "poddisruptionbudgets"): _budget,
}
