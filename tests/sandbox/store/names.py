"""Rules for names, labels and annotations: k8s.io/apimachinery/pkg/util/validation and pkg/api/validation."""

from __future__ import annotations

import re
from typing import Any

from tests.sandbox.store.errors import Fault
from tests.sandbox.store.jsondata import Object

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
ANNOTATIONS_LIMIT = 256 * 1024

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

# RBAC names are path segments, and may hold colons.
_PATH_SEGMENTS = frozenset(["roles", "rolebindings", "clusterroles", "clusterrolebindings"])
_LABELS_ONLY = frozenset(["namespaces"])
_DNS_1035 = frozenset(["services"])


def name_faults(plural: str, name: str) -> list[Fault]:
    """What is wrong with metadata.name for this resource."""
    if plural in _PATH_SEGMENTS:
        return _segment_faults(name)
    pattern, text, limit = _SUBDOMAIN, _SUBDOMAIN_TEXT, 253
    if plural in _LABELS_ONLY or plural in _DNS_1035:
        pattern, text, limit = _LABEL, _LABEL_TEXT, 63
    faults = []
    if len(name) > limit:
        faults.append(Fault("Invalid", "metadata.name", name, f"must be no more than {limit} characters"))
    if not pattern.fullmatch(name):
        faults.append(Fault("Invalid", "metadata.name", name, text))
    return faults


def _segment_faults(name: str) -> list[Fault]:
    if name in (".", ".."):
        return [Fault("Invalid", "metadata.name", name, f"may not be '{name}'")]
    return [
        Fault("Invalid", "metadata.name", name, f"may not contain '{bad}'")
        for bad in ("/", "%")
        if bad in name
    ]


def _qualified_fault(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253):
        return f"prefix part {_SUBDOMAIN_TEXT}"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    return "" if _QUALIFIED.fullmatch(name) else _QUALIFIED_TEXT


def label_faults(labels: Any, field: str) -> list[Fault]:
    """What is wrong with a map of labels (metadata.labels, matchLabels, nodeSelector)."""
    faults = []
    for key, value in (labels or {}).items():
        if text := _qualified_fault(key):
            faults.append(Fault("Invalid", field, key, text))
        if not isinstance(value, str):
            faults.append(Fault("Invalid", field, value, "must be a string"))
        elif len(value) > 63:
            faults.append(Fault("Invalid", field, value, "must be no more than 63 characters"))
        elif not _VALUE.fullmatch(value):
            faults.append(Fault("Invalid", field, value, _VALUE_TEXT))
    return faults


def metadata_faults(plural: str, metadata: Object) -> list[Fault]:
    """What is wrong with an object's metadata, apart from whether it may change."""
    faults = name_faults(plural, metadata["name"])
    faults += label_faults(metadata.get("labels"), "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if text := _qualified_fault(key.lower()):
            faults.append(Fault("Invalid", "metadata.annotations", key, text))
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        faults.append(
            Fault("TooLong", "metadata.annotations", None, f"may not be more than {ANNOTATIONS_LIMIT} bytes")
        )
    faults += _owner_faults(metadata.get("ownerReferences") or [])
    faults += [
        Fault("Invalid", "metadata.finalizers", one, _QUALIFIED_TEXT)
        for one in metadata.get("finalizers") or []
        if _qualified_fault(one)
    ]
    return faults


def _owner_faults(owners: list[Object]) -> list[Fault]:
    faults = []
    for owner in owners:
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                path = f"metadata.ownerReferences.{key}"
                faults.append(Fault("Invalid", path, owner.get(key, ""), "must not be empty"))
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        text = "Only one reference can have Controller set to true. Found more than one"
        faults.append(Fault("Invalid", "metadata.ownerReferences", owners, text))
    return faults
