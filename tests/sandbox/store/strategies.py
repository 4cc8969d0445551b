"""How kinds differ on a write: what is read from the body, what the server adds, what it refuses.

A strategy's functions return new objects and never change what they are given, unless they say that they own it.
"""

from __future__ import annotations

from typing import Protocol

from tests.sandbox.store import defaults, plain, workloads
from tests.sandbox.store.errors import Fault
from tests.sandbox.store.jsondata import Object, copy_json, without
from tests.sandbox.store.kinds import Kind


class Strategy(Protocol):
    """The rules of one kind."""

    def decode(self, obj: Object, old: Object | None) -> Object:
        """The object with defaults (and, for custom resources, without unknown fields)."""
        ...

    def created(self, obj: Object) -> Object:
        """What the server adds once name and uid are known; drops a status that clients cannot set."""
        ...

    def updated(self, new: Object, old: Object, subresource: str) -> Object:
        """The update with what this endpoint cannot change taken from the old object."""
        ...

    def faults(self, new: Object, old: Object | None, subresource: str) -> list[Fault]:
        """Everything wrong with the new object, or with the change."""
        ...


class BuiltIn:
    """The rules of a built-in kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._name = (kind.group, kind.plural)

    def decode(self, obj: Object, old: Object | None) -> Object:
        fill = {("", "pods"): defaults.pod, ("batch", "jobs"): defaults.job}.get(self._name)
        if fill is None:
            obj = plain.decoded(self._name, obj)
        elif old is None or obj.get("spec") is not old["spec"]:
            obj = copy_json(obj)
            fill(obj)
        return obj

    def created(self, obj: Object) -> Object:
        if self._kind.generation:
            obj = {**obj, "metadata": {**obj["metadata"], "generation": 1}}
        if self._kind.status and self._name != ("", "nodes"):
            obj = {**without(obj, "status"), "status": {}}
        if self._name == ("batch", "jobs"):
            obj = copy_json(obj)
            defaults.job_selector(obj)
        elif self._name == ("", "pods"):
            obj["status"] = {"phase": "Pending", "qosClass": defaults.quality(obj["spec"])}
        elif self._name == ("", "namespaces"):
            obj = plain.new_namespace(obj)
        return obj

    def updated(self, new: Object, old: Object, subresource: str) -> Object:
        if not self._kind.status:
            return new
        if subresource == "status":
            return {**new, "spec": old["spec"]} if "spec" in old else without(new, "spec")
        return {**new, "status": old["status"]} if "status" in old else without(new, "status")

    def faults(self, new: Object, old: Object | None, subresource: str) -> list[Fault]:
        if subresource == "status":
            return []
        if self._name == ("", "pods"):
            return workloads.pod_faults(new, old)
        if self._name == ("batch", "jobs"):
            return workloads.job_faults(new, old)
        return plain.faults(self._name, new, old)
