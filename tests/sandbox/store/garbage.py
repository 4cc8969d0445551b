"""The garbage collector and the namespace controller, as one step that a simulation or a server's loop calls.

Rules of the real ones: an object goes when all owners are gone; a foreground deletion waits for the dependents
that block it; an orphaning one takes its references off the dependents first; a namespace goes once it is empty.
Only objects that something happened to are looked at, so an idle step costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox.store.deletes import FOREGROUND, ORPHAN, DeleteOptions, Propagation, delete
from tests.sandbox.store.jsondata import Object, without
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.shelf import Key
from tests.sandbox.store.writes import Options, run, update

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

Place = tuple[tuple[str, str], Key]  # shelf and key
_NAMESPACES = ("", "namespaces")


class Garbage:
    """Which objects own which, and which of them are due a look."""

    def __init__(self, store: State) -> None:
        self._store = store
        self._places: dict[str, Place] = {}  # uid -> where the object lies
        self._dependents: dict[str, dict[Place, None]] = {}
        self._due: dict[Place, None] = {}

    def noted(self, shelf: tuple[str, str], key: Key, new: Object | None, old: Object | None) -> None:
        """Called at every commit; `new` is None for a removal."""
        place = (shelf, key)
        before, after = _owners(old), _owners(new)
        if before != after:
            for uid in before:
                self._dependents.get(uid, {}).pop(place, None)
            for uid in after:
                self._dependents.setdefault(uid, {})[place] = None
        if new is None and old is not None:
            uid = old["metadata"]["uid"]
            self._places.pop(uid, None)
            self._due.update(self._dependents.get(uid, {}))
            self._due.update({self._places[owner]: None for owner in before if owner in self._places})
            self._due.pop(place, None)
            if key[0]:
                self._due[_NAMESPACES, ("", key[0])] = None
        elif new is not None:
            self._places[new["metadata"]["uid"]] = place
            if after and before != after:
                self._due[place] = None
            if new["metadata"].get("deletionTimestamp"):
                self._due[place] = None
                self._due.update(self._dependents.get(new["metadata"]["uid"], {}))

    @property
    def idle(self) -> bool:
        """Whether a step would find nothing to look at."""
        return not self._due

    def collect(self) -> int:
        """Look at everything that is due until nothing is; returns how many objects were changed."""
        changed = 0
        while self._due:
            place = next(iter(self._due))
            del self._due[place]
            kind = self._store.storage_kind(place[0])
            obj = self._store.find(kind, place[1]) if kind else None
            if kind is not None and obj is not None:
                changed += self._look(kind, place[1], obj)
        return changed

    def _look(self, kind: Kind, key: Key, obj: Object) -> int:
        if obj["metadata"].get("deletionTimestamp"):
            if kind.store_key == _NAMESPACES:
                return self._empty_namespace(kind, key, obj)
            finalizers = obj["metadata"].get("finalizers") or []
            if ORPHAN in finalizers:
                return self._orphan(kind, key, obj)
            return self._await_dependents(kind, key, obj) if FOREGROUND in finalizers else 0
        owners = obj["metadata"].get("ownerReferences") or []
        if not owners:
            return 0
        present = [one for one in owners if one["uid"] in self._places]
        waiting = [one for one in present if self._waits(one["uid"])]
        if len(present) > len(waiting):
            return 0
        propagation: Propagation = "Background"
        if waiting and self._dependents.get(obj["metadata"]["uid"]):
            propagation = "Foreground"
        self._delete(kind, key, propagation)
        return 1

    def _waits(self, uid: str) -> bool:
        """Whether the owner is in a foreground deletion."""
        shelf, key = self._places[uid]
        kind = self._store.storage_kind(shelf)
        owner = self._store.find(kind, key) if kind else None
        if owner is None or not owner["metadata"].get("deletionTimestamp"):
            return False
        return FOREGROUND in (owner["metadata"].get("finalizers") or [])

    def _delete(self, kind: Kind, key: Key, propagation: Propagation) -> None:
        run(delete(self._store, kind, key, DeleteOptions(propagation=propagation)))

    def _await_dependents(self, kind: Kind, key: Key, obj: Object) -> int:
        uid = obj["metadata"]["uid"]
        if any(_blocks(self._at(place), uid) for place in self._dependents.get(uid, {})):
            return 0
        return self._drop_finalizer(kind, key, FOREGROUND)

    def _at(self, place: Place) -> Object | None:
        kind = self._store.storage_kind(place[0])
        return self._store.find(kind, place[1]) if kind else None

    def _orphan(self, kind: Kind, key: Key, obj: Object) -> int:
        uid = obj["metadata"]["uid"]
        children = list(self._dependents.get(uid, {}))
        for shelf, child in children:
            found = self._store.storage_kind(shelf)
            if found is not None:
                run(update(self._store, found, child, lambda one: _disowned(one, uid), Options()))
        return len(children) + self._drop_finalizer(kind, key, ORPHAN)

    def _drop_finalizer(self, kind: Kind, key: Key, finalizer: str) -> int:
        def without_it(obj: Object) -> Object:
            kept = [one for one in obj["metadata"].get("finalizers") or [] if one != finalizer]
            return {**obj, "metadata": {**obj["metadata"], "finalizers": kept or None}}

        run(update(self._store, kind, key, without_it, Options()))
        return 1

    def _empty_namespace(self, kind: Kind, key: Key, obj: Object) -> int:
        """Delete what lies in a namespace that is going; take it away once nothing is left."""
        changed, left = 0, 0
        for shelf in self._store.namespaced_shelves():
            found = self._store.storage_kind(shelf)
            for child in [one for one in self._store.keys(shelf) if one[0] == key[1]] if found else []:
                assert found is not None
                self._delete(found, child, "Background")
                changed += 1
                left += self._store.find(found, child) is not None
        if not left:
            self._store.release_namespace(kind, key, obj)
            changed += 1
        return changed


def _owners(obj: Object | None) -> list[str]:
    return [one["uid"] for one in obj["metadata"].get("ownerReferences") or []] if obj else []


def _blocks(obj: Object | None, uid: str) -> bool:
    owners = (obj or {"metadata": {}})["metadata"].get("ownerReferences") or []
    return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in owners)


def _disowned(obj: Object, uid: str) -> Object:
    kept = [one for one in obj["metadata"].get("ownerReferences") or [] if one["uid"] != uid]
    return {
        **obj,
        "metadata": {**without(obj["metadata"], "ownerReferences"), "ownerReferences": kept or None},
    }
