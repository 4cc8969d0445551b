"""The rules of a custom resource: its definition's schema, and the status split if it has the subresource."""

from __future__ import annotations

from tests.sandbox.store.errors import Fault
from tests.sandbox.store.jsondata import Object, same_json, without
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.schema import Schema


class Custom:
    """The strategy of one version of a custom resource."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._schema = Schema.of(kind.schema or {})

    def decode(self, obj: Object, old: Object | None) -> Object:
        return self._schema.decoded(obj, old)

    def created(self, obj: Object) -> Object:
        obj = without(obj, "status") if self._kind.status else obj
        return {**obj, "metadata": {**obj["metadata"], "generation": 1}}

    def updated(self, new: Object, old: Object, subresource: str) -> Object:
        if not self._kind.status:
            return new
        if subresource == "status":
            fields = new["metadata"].get("managedFields")
            kept = {**old, "metadata": {**old["metadata"], **({"managedFields": fields} if fields else {})}}
            return {**kept, "status": new["status"]} if "status" in new else without(kept, "status")
        return {**new, "status": old["status"]} if "status" in old else without(new, "status")

    def faults(self, new: Object, old: Object | None, subresource: str) -> list[Fault]:
        del subresource
        if old is not None and all(
            same_json(new.get(key), old.get(key)) for key in (new.keys() | old.keys()) - {"metadata"}
        ):
            return []
        return self._schema.faults(new, old)
