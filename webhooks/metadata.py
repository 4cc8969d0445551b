"""What is wrong with an object's metadata besides its name, for manifests that no API server has looked at.

Only what people write by hand: an API server refuses the rest, and fills in what it owns.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from webhooks.faults import Fault, FaultType, Path
from webhooks.labels import key_fault, subdomain_fault, value_fault

METADATA: Path = ("metadata",)
_TEXTS = ("name", "generateName", "namespace")
_MAPS = ("labels", "annotations")
_OWNED = ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation")
_FURTHER = ("managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid")
_FIELDS = (*_TEXTS, *_MAPS, *_OWNED, *_FURTHER)
MAX_NAMESPACE = 63


def metadata_faults(metadata: Any) -> Iterator[Fault]:
    """The faults of a manifest's `metadata`, apart from the grammar of names."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield Fault(METADATA, FaultType.WRONG_TYPE, "must be of type object", metadata)
        return
    for field, value in metadata.items():
        at = (*METADATA, field)
        if field not in _FIELDS:
            close = difflib.get_close_matches(field, _FIELDS, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            yield Fault(at, FaultType.FORBIDDEN, f"unknown field{hint}")
        elif field in _TEXTS and value is not None and not isinstance(value, str):
            yield Fault(at, FaultType.WRONG_TYPE, "must be of type string", value)
        elif field in _MAPS and value is not None:
            yield from _map_faults(field, value, at)
    yield from _namespace_faults(metadata.get("namespace"))


def _map_faults(field: str, value: Any, at: Path) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(at, FaultType.WRONG_TYPE, "must be of type object", value)
        return
    for key, text in value.items():
        # The keys of annotations are judged without regard to case, as the API server does.
        if fault := key_fault(key.lower() if field == "annotations" else key):
            yield Fault((*at, key), FaultType.INVALID, fault, key)
        if not isinstance(text, str):
            yield Fault((*at, key), FaultType.WRONG_TYPE, "must be of type string", text)
        elif field == "labels" and (fault := value_fault(text)):
            yield Fault((*at, key), FaultType.INVALID, fault, text)


def _namespace_faults(namespace: Any) -> Iterator[Fault]:
    if not isinstance(namespace, str) or not namespace:
        return
    at = (*METADATA, "namespace")
    if len(namespace) > MAX_NAMESPACE:
        yield Fault(at, FaultType.INVALID, f"must be no more than {MAX_NAMESPACE} bytes", namespace)
    elif "." in namespace or subdomain_fault(namespace):
        detail = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
        yield Fault(at, FaultType.INVALID, detail, namespace)
