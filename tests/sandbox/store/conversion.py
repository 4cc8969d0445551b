"""Between what a version of an API serves and what is stored.

Events have two APIs over one storage; the stored form is the core one. Versions of a custom resource differ in
apiVersion only (conversion strategy None).
"""

from __future__ import annotations

from tests.sandbox.store.jsondata import Object
from tests.sandbox.store.kinds import Kind

_EVENTS = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_STORED = {served: stored for stored, served in _EVENTS.items()}


def stored(kind: Kind, obj: Object) -> Object:
    """A served object in the form in which it is kept."""
    if not kind.storage_version or kind.storage_version == kind.api_version:
        return obj
    if kind.plural == "events":
        obj = {_STORED.get(key, key): item for key, item in obj.items()}
        if obj.get("involvedObject") is None:
            obj["involvedObject"] = {}
    return {**obj, "apiVersion": kind.storage_version}


def shown(kind: Kind, obj: Object) -> Object:
    """A kept object in the form in which this version serves it."""
    if not kind.storage_version or kind.storage_version == kind.api_version:
        return obj
    if kind.plural == "events":
        obj = {_EVENTS.get(key, key): item for key, item in obj.items()}
    return {**obj, "apiVersion": kind.api_version}
