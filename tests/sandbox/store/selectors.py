"""Label and field selectors: parsed once, then asked per object.

Grammar and wording follow k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.sandbox.store.errors import StatusError, bad_request
from tests.sandbox.store.jsondata import Object, dig

Match = Callable[[Object], bool]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")


def everything(_: Object) -> bool:
    return True


def label_selector(text: str) -> Match:
    """The match for a selector in the syntax of `?labelSelector=`; raises 400 on a bad one."""
    if not text.strip():
        return everything
    return _all_of([_requirement(part.strip(), text) for part in _split(text)])


def _split(text: str) -> list[str]:
    return re.split(r",(?![^()]*\))", text)


def _requirement(part: str, whole: str) -> Match:
    if found := _SET.match(part):
        key, operator, listed = found.groups()
        values = frozenset(item.strip() for item in listed.split(","))
        return _label_in(key, values) if operator == "in" else _label_not_in(key, values)
    if found := _EQUAL.match(part):
        key, operator, value = found.groups()
        return (
            _label_not_in(key, frozenset([value])) if operator == "!=" else _label_in(key, frozenset([value]))
        )
    if found := _EXISTS.match(part):
        return _label_exists(found.group(2), wanted=not found.group(1))
    raise bad_request(f"unable to parse requirement: found '{part}' in selector {whole!r}")


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _label_in(key: str, values: frozenset[str]) -> Match:
    return lambda obj: _labels(obj).get(key) in values


def _label_not_in(key: str, values: frozenset[str]) -> Match:
    return lambda obj: _labels(obj).get(key) not in values


def _label_exists(key: str, *, wanted: bool) -> Match:
    return lambda obj: (key in _labels(obj)) is wanted


def _all_of(matches: list[Match]) -> Match:
    if len(matches) == 1:
        return matches[0]
    return lambda obj: all(match(obj) for match in matches)


def structured(selector: Object | None) -> Match:
    """The match for a metav1.LabelSelector: null matches nothing, empty matches everything."""
    if selector is None:
        return lambda obj: False
    matches: list[Match] = [
        _label_in(key, frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for one in selector.get("matchExpressions") or []:
        values = frozenset(one.get("values") or [])
        match one["operator"]:
            case "In":
                matches.append(_label_in(one["key"], values))
            case "NotIn":
                matches.append(_label_not_in(one["key"], values))
            case operator:
                matches.append(_label_exists(one["key"], wanted=operator == "Exists"))
    return _all_of(matches) if matches else everything


# Fields that the API server lets one select by, beside metadata.name and metadata.namespace, by resource.
SELECTABLE: dict[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset(
        [
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
        ]
    ),
    ("", "nodes"): frozenset(["spec.unschedulable"]),
    ("", "namespaces"): frozenset(["status.phase"]),
    ("", "secrets"): frozenset(["type"]),
    ("batch", "jobs"): frozenset(["status.successful"]),
    ("", "events"): frozenset(
        [
            f"involvedObject.{key}"
            for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        ]
        + ["reason", "reportingComponent", "source", "type"]
    ),
}
SELECTABLE["events.k8s.io", "events"] = SELECTABLE["", "events"]


def field_selector(group: str, plural: str, text: str, extra: frozenset[str] = frozenset()) -> Match:
    """The match for `?fieldSelector=`; raises 400 for a field that the resource does not offer.

    `extra` names a custom resource's own selectable fields.
    """
    if not text.strip():
        return everything
    known = SELECTABLE.get((group, plural), frozenset()) | extra
    matches: list[Match] = []
    for part in text.split(","):
        found = re.match(r"^\s*([A-Za-z0-9_.\[\]]+?)\s*(==|=|!=)\s*(.*?)\s*$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = found.groups()
        if field not in ("metadata.name", "metadata.namespace") and field not in known:
            raise _unsupported(field)
        matches.append(_field(field, value, wanted=operator != "!="))
    return _all_of(matches)


def _unsupported(field: str) -> StatusError:
    return bad_request(f"field label not supported: {field}")


def _field(field: str, value: str, *, wanted: bool) -> Match:
    path = tuple(field.split("."))
    if path == ("source",):
        path = ("source", "component")
    if path == ("status", "successful"):
        path = ("status", "succeeded")
    return lambda obj: (_text(dig(obj, *path, default="")) == value) is wanted


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
