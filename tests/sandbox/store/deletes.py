"""Deletion: preconditions, grace, finalizers and propagation (registry/generic/registry/store.go).

An object with finalizers or grace left is marked with a deletionTimestamp and stays; the write that takes away
the last reason to stay removes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from tests.sandbox.store import metadata as meta
from tests.sandbox.store.conversion import shown
from tests.sandbox.store.errors import modified, not_found
from tests.sandbox.store.jsondata import Object, dig
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.shelf import Key
from tests.sandbox.store.writes import UPDATE_ATTEMPTS, Options, Step, Steps

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

Propagation = Literal["Background", "Foreground", "Orphan"]
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """metav1.DeleteOptions; grace in seconds, None for the object's own."""

    uid: str = ""
    resource_version: str = ""
    propagation: Propagation | None = None
    grace: int | None = None
    options: Options = field(default_factory=Options)


def delete(store: State, kind: Kind, key: Key, wanted: DeleteOptions) -> Steps:
    """The steps of a DELETE; returns the object as it was last, marked or gone."""
    for _ in range(UPDATE_ATTEMPTS):
        old = store.find(kind, key)
        if old is None:
            raise not_found(kind.group, kind.plural, key[1])
        meta.check_preconditions(kind, old, wanted.uid, wanted.resource_version)
        yield Step("validate", "DELETE", kind, key[0], key[1], None, shown(kind, old), wanted.options)
        if store.find(kind, key) is old:
            return _delete(store, kind, key, old, wanted)
    raise modified(kind.group, kind.plural, key[1])


def _delete(store: State, kind: Kind, key: Key, old: Object, wanted: DeleteOptions) -> Object:
    dry = wanted.options.dry_run
    grace = grace_seconds(kind, old, wanted.grace)
    finalizers = _finalizers(kind, old, wanted.propagation)
    marked = old["metadata"].get("deletionTimestamp")
    if marked:
        left = old["metadata"].get("deletionGracePeriodSeconds") or 0
        shorter = wanted.grace is not None and grace < left
        if not shorter and finalizers == (old["metadata"].get("finalizers") or []):
            return (
                old
                if left or finalizers or store.holds_namespace(kind, old)
                else _gone(store, kind, key, old, dry)
            )
        grace = min(grace, left)
    if grace == 0 and not finalizers and not store.holds_namespace(kind, old):
        return _gone(store, kind, key, old, dry)
    new = _marked(store, kind, old, grace, finalizers)
    return new if dry else store.commit(kind, key, new)


def _gone(store: State, kind: Kind, key: Key, old: Object, dry: bool) -> Object:
    return old if dry else store.remove(kind, key, old)


def grace_seconds(kind: Kind, obj: Object, asked: int | None) -> int:
    """How long the object may take to go: only pods that run on a node get any time."""
    if kind.store_key != ("", "pods") or not dig(obj, "spec", "nodeName"):
        return 0
    if dig(obj, "status", "phase") in _FINISHED:
        return 0
    if asked is not None and asked >= 0:
        return asked
    own = dig(obj, "spec", "terminationGracePeriodSeconds", default=30)
    return max(int(own), 1) if own < 0 else int(own)


def _finalizers(kind: Kind, obj: Object, propagation: Propagation | None) -> list[str]:
    """The finalizers with those that stand for the propagation policy."""
    found = list(obj["metadata"].get("finalizers") or [])
    if propagation is None:
        if kind.orphans and FOREGROUND not in found and ORPHAN not in found:
            found.append(ORPHAN)
        return found
    found = [one for one in found if one not in (FOREGROUND, ORPHAN)]
    if propagation == "Orphan":
        found.append(ORPHAN)
    elif propagation == "Foreground":
        found.append(FOREGROUND)
    return found


def _marked(store: State, kind: Kind, old: Object, grace: int, finalizers: list[str]) -> Object:
    metadata = dict(old["metadata"])
    now = store.clock()
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = meta.timestamp(now + timedelta(seconds=grace))
        if metadata.get("generation"):
            metadata["generation"] += 1
    elif grace < (metadata.get("deletionGracePeriodSeconds") or 0):
        metadata["deletionTimestamp"] = meta.timestamp(now + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    new = {**old, "metadata": metadata}
    if kind.store_key == ("", "namespaces"):
        new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
    return new
