"""A store's state: the shelves, the catalogue of kinds and the one place where commits happen.

Everything that writes goes through `commit` and `remove`; they alone count the resourceVersion up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from tests.sandbox.store import writes
from tests.sandbox.store.catalogue import Catalogue
from tests.sandbox.store.crds import accepted
from tests.sandbox.store.errors import StatusError, forbidden, not_found
from tests.sandbox.store.garbage import Garbage
from tests.sandbox.store.jsondata import Object, dig, without
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.ownership import owned
from tests.sandbox.store.shelf import Key, Shelf
from tests.sandbox.store.strategies import Strategy
from tests.sandbox.store.writes import Options, run

_NAMESPACES = ("", "namespaces")
_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
_INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")


class State:
    """What the modules of the store work on; callers use `Store`."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        uids: Callable[[], str],
        suffixes: Callable[[], str],
        track_field_managers: bool = False,
        history: int = 4096,
    ) -> None:
        self.clock, self.uids, self.suffixes = clock, uids, suffixes
        self.catalogue = Catalogue()
        self._tracks = track_field_managers
        self._history = history
        self._version = 1
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._garbage = Garbage(self)
        for name in _INITIAL:
            self._commit_namespace(name)
        for shelf in self._shelves.values():
            shelf.forget_all(self._version)

    @property
    def resource_version(self) -> str:
        """The version of the last commit."""
        return str(self._version)

    def key(self, kind: Kind, name: str, namespace: str | None) -> Key:
        return ((namespace or "") if kind.namespaced else "", name)

    def space(self, kind: Kind, namespace: str | None, body: Object) -> str | None:
        """The namespace of a request: the one given, else the body's."""
        return namespace or dig(body, "metadata", "namespace") if kind.namespaced else None

    def find(self, kind: Kind, key: Key) -> Object | None:
        """The stored object, or None."""
        shelf = self._shelves.get(kind.store_key)
        return shelf.objects.get(key) if shelf else None

    def shelf(self, kind: Kind) -> Shelf:
        found = self._shelves.get(kind.store_key)
        if found is None:
            found = self._shelves[kind.store_key] = Shelf(self._history, self._version)
        return found

    def objects(self, shelf: tuple[str, str]) -> Iterable[Object]:
        """All stored objects of a shelf."""
        found = self._shelves.get(shelf)
        return found.objects.values() if found else ()

    def keys(self, shelf: tuple[str, str]) -> Iterable[Key]:
        return self._shelves[shelf].ordered()

    def namespaced_shelves(self) -> Iterable[tuple[str, str]]:
        kinds = {shelf: self.storage_kind(shelf) for shelf in self._shelves}
        return [shelf for shelf, kind in kinds.items() if kind is not None and kind.namespaced]

    def strategy(self, kind: Kind) -> Strategy:
        return self.catalogue.strategy(kind)

    def storage_kind(self, shelf: tuple[str, str]) -> Kind | None:
        return self.catalogue.storage_kind(shelf)

    def owned(
        self, kind: Kind, new: Object, old: Object | None, options: Options, subresource: str
    ) -> Object:
        """The object with the ownership of its fields brought up to date."""
        if not self._tracks and (old is None or "managedFields" not in old["metadata"]):
            return {**new, "metadata": without(new["metadata"], "managedFields")}
        return owned(kind, new, old, options.field_manager or "unknown", subresource, self.clock())

    def check_namespace(self, kind: Kind, namespace: str | None, obj: Object) -> None:
        """Refuse an object in a namespace that does not exist (404) or is going (403)."""
        if not kind.namespaced:
            return
        found = self._shelves[_NAMESPACES].objects.get(("", namespace or ""))
        if found is None:
            raise not_found("", "namespaces", namespace or "")
        if found["metadata"].get("deletionTimestamp"):
            raise _terminating(kind, obj, namespace or "")

    def holds_namespace(self, kind: Kind, obj: Object) -> bool:
        """Whether this is a namespace that the namespace controller has not yet emptied."""
        return kind.store_key == _NAMESPACES and bool(dig(obj, "spec", "finalizers"))

    def release_namespace(self, kind: Kind, key: Key, obj: Object) -> None:
        """Remove a namespace that is empty."""
        if obj["metadata"].get("finalizers"):
            self.commit(kind, key, {**obj, "spec": {}})
        else:
            self.remove(kind, key, obj)

    def commit(self, kind: Kind, key: Key, new: Object) -> Object:
        """Keep an object under the next version."""
        old = self.find(kind, key)
        shelf = self.shelf(kind)
        if kind.store_key == _DEFINITIONS:
            new = accepted(new, old, self.clock())
        self._version += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self._version)}}
        if kind.store_key == _DEFINITIONS:
            self.catalogue.define(new)
        shelf.put(self._version, key, new)
        self._garbage.noted(kind.store_key, key, new, old)
        return new

    def remove(self, kind: Kind, key: Key, last: Object) -> Object:
        """Forget an object; its final state carries the version of the removal."""
        old = self.find(kind, key)
        self._version += 1
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self._version)}}
        self.shelf(kind).drop(self._version, key, last)
        self._garbage.noted(kind.store_key, key, None, old)
        if kind.store_key == _DEFINITIONS:
            self._undefine(last)
        return last

    def _undefine(self, definition: Object) -> None:
        names = definition["spec"]["names"]["plural"], definition["spec"]["group"]
        kind = self.storage_kind((names[1], names[0]))
        for key in list(self.keys(kind.store_key)) if kind and kind.store_key in self._shelves else []:
            found = self.find(kind, key) if kind else None
            if kind is not None and found is not None:
                self.remove(kind, key, found)
        self.catalogue.forget(definition)

    def _commit_namespace(self, name: str) -> None:
        kind = self.storage_kind(_NAMESPACES)
        assert kind is not None
        body: Object = {"metadata": {"name": name}}
        run(writes.create(self, kind, None, body, Options()))


def _terminating(kind: Kind, obj: Object, namespace: str) -> StatusError:
    name = obj["metadata"].get("name", "")
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    refusal = forbidden(kind.group, kind.plural, name, why)
    refusal.status["details"]["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    return refusal
