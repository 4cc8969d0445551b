"""Writes as generators: each stops where the API server calls admission, and commits at its end.

The plain store runs one through without stopping; the HTTP server awaits webhooks between the steps. Whatever is
sent back at a `mutate` step is what the write goes on with. Nothing is committed against an object that changed
meanwhile: an update with a resourceVersion conflicts, one without starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.sandbox.store import metadata as meta
from tests.sandbox.store.conversion import shown, stored
from tests.sandbox.store.errors import Fault, already_exists, invalid, modified, not_found
from tests.sandbox.store.jsondata import Object, copy_json, same_json, without
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.names import metadata_faults
from tests.sandbox.store.shelf import Key

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

Operation = Literal["CREATE", "UPDATE", "DELETE"]
NAME_ATTEMPTS = 8  # for generateName, as the API server
UPDATE_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """What admission gets to see, in the served version of the kind."""

    stage: Literal["mutate", "validate"]
    operation: Operation
    kind: Kind
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    options: Options
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What a request says beside the object."""

    dry_run: bool = False
    field_manager: str = ""
    force: bool = False
    apply: bool = (
        False  # a server-side apply; the ownership of fields is worked out by the maker of the object
    )
    on_unknown: Callable[[list[str]], None] | None = (
        None  # told the paths of unknown fields that were dropped
    )


Steps = Generator[Step, Object | None, Object]
Maker = Callable[[Object], Object]  # from the current object, as served, to the wanted one


def create(
    store: State, kind: Kind, namespace: str | None, body: Object, options: Options, name: str = ""
) -> Steps:
    """The steps of a POST; `name` is given where the URL names the object (an apply that creates)."""
    obj = meta.for_create(meta.check_identity(kind, copy_json(body), namespace, name))
    rules = store.strategy(kind)
    obj = stored(kind, _reported(rules.decode(obj, None), obj, options))
    given = obj["metadata"].get("name", "")
    asked = Step("mutate", "CREATE", kind, namespace or "", given, shown(kind, obj), None, options)
    changed = yield asked
    if changed is not None and changed is not asked.obj:
        obj = stored(kind, rules.decode(meta.check_identity(kind, changed, namespace), None))
    store.check_namespace(kind, namespace, obj)
    key, obj = _named(store, kind, obj, generate=not given)
    obj = rules.created(obj)
    _refuse_faults(kind, obj, metadata_faults(kind.plural, obj["metadata"]) + rules.faults(obj, None, ""))
    if not options.apply:
        obj = store.owned(kind, obj, None, options, "")
    yield Step("validate", "CREATE", kind, namespace or "", key[1], shown(kind, obj), None, options)
    if store.find(kind, key) is not None:
        raise already_exists(kind.group, kind.plural, key[1])
    return obj if options.dry_run else store.commit(kind, key, obj)


def _reported(decoded: Object, given: Object, options: Options) -> Object:
    if options.on_unknown is not None:
        options.on_unknown(unknown_fields(given, decoded))
    return decoded


def unknown_fields(given: object, kept: object, path: str = "") -> list[str]:
    """The paths that are in the first value and not in the second: what pruning took away."""
    if isinstance(given, dict) and isinstance(kept, dict):
        found: list[str] = []
        for key, item in given.items():
            where = f"{path}.{key}" if path else key
            found += (
                unknown_fields(item, kept[key], where) if key in kept else [where] if item is not None else []
            )
        return found
    if isinstance(given, list) and isinstance(kept, list) and given is not kept:
        pairs = enumerate(zip(given, kept, strict=False))
        return [one for index, (a, b) in pairs for one in unknown_fields(a, b, f"{path}[{index}]")]
    return []


def _named(store: State, kind: Kind, obj: Object, *, generate: bool) -> tuple[Key, Object]:
    """The object with name, uid and creation time, and its key."""
    metadata = dict(obj["metadata"])
    base = metadata.get("generateName", "")
    space = metadata.get("namespace", "")
    if not metadata.get("name"):
        if not base or not generate:
            raise meta.nameless(kind)
        for _ in range(NAME_ATTEMPTS):
            metadata["name"] = meta.generated_name(base, store.suffixes())
            if store.find(kind, (space, metadata["name"])) is None:
                break
    metadata["uid"] = store.uids()
    metadata["creationTimestamp"] = meta.timestamp(store.clock())
    return (space, metadata["name"]), {**obj, "metadata": metadata}


def _refuse_faults(kind: Kind, new: Object, faults: list[Fault]) -> None:
    if faults:
        raise invalid(kind.group, kind.kind, new["metadata"]["name"], faults)


def update(store: State, kind: Kind, key: Key, make: Maker, options: Options, subresource: str = "") -> Steps:
    """The steps of a PUT or PATCH: `make` gets the current object and returns the wanted one."""
    for _ in range(UPDATE_ATTEMPTS):
        old = store.find(kind, key)
        if old is None:
            raise not_found(kind.group, kind.plural, key[1])
        wanted = make(shown(kind, old))
        new = _read(store, kind, wanted, old, options, subresource)
        before = shown(kind, old)
        asked = Step("mutate", "UPDATE", kind, key[0], key[1], shown(kind, new), before, options, subresource)
        changed = yield asked
        if changed is not None and changed is not asked.obj:
            new = _read(store, kind, changed, old, options, subresource)
        rules = store.strategy(kind)
        faults = rules.faults(new, old, subresource) + meta.finalizer_faults(new, old)
        if (
            new["metadata"].get("labels") is not old["metadata"].get("labels")
            or "finalizers" in new["metadata"]
        ):
            faults += metadata_faults(kind.plural, new["metadata"])
        _refuse_faults(kind, new, faults)
        yield Step("validate", "UPDATE", kind, key[0], key[1], shown(kind, new), before, options, subresource)
        if store.find(kind, key) is old:
            return _finish(store, kind, key, new, old, options)
        if (wanted.get("metadata") or {}).get("resourceVersion") not in (
            None,
            "",
            old["metadata"]["resourceVersion"],
        ):
            break
    raise modified(kind.group, kind.plural, key[1])


def replace(
    store: State, kind: Kind, key: Key, body: Object, options: Options, subresource: str = ""
) -> Steps:
    """The steps of a PUT. A uid in the body is a precondition."""
    meta.check_identity(kind, body, key[0] or None, key[1])
    uid = (body.get("metadata") or {}).get("uid", "")

    def wanted(old: Object) -> Object:
        meta.check_uid(kind, old, uid)
        return body

    return update(store, kind, key, wanted, options, subresource)


def _read(
    store: State, kind: Kind, wanted: Object, old: Object, options: Options, subresource: str
) -> Object:
    """The wanted object as this endpoint would store it."""
    space = key_namespace(old)
    rules = store.strategy(kind)
    body = meta.check_identity(kind, wanted, space, old["metadata"]["name"])
    if not (body.get("status") is old.get("status") and body.get("spec") is old.get("spec")) or kind.custom:
        body = _reported(rules.decode(body, shown(kind, old)), body, options)
    new = meta.for_update(kind, stored(kind, body), old)
    new = meta.bumped(kind, rules.updated(new, old, subresource), old)
    return new if options.apply else store.owned(kind, new, old, options, subresource)


def key_namespace(obj: Object) -> str | None:
    """The namespace of a stored object, None at cluster scope."""
    found: str | None = obj["metadata"].get("namespace")
    return found


def _finish(store: State, kind: Kind, key: Key, new: Object, old: Object, options: Options) -> Object:
    if _same(new, old):
        return old
    done = new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers")
    if (
        done
        and not new["metadata"].get("deletionGracePeriodSeconds")
        and not store.holds_namespace(kind, new)
    ):
        return new if options.dry_run else store.remove(kind, key, new)
    return new if options.dry_run else store.commit(kind, key, new)


def _same(new: Object, old: Object) -> bool:
    """Whether a write changes nothing; who owns the fields does count, when they were touched does not."""
    if not same_json(_untimed(new), _untimed(old)):
        return False
    return same_json(without(new, "metadata"), without(old, "metadata"))


def _untimed(obj: Object) -> Object:
    metadata = obj["metadata"]
    fields = metadata.get("managedFields")
    if not fields:
        return metadata  # type: ignore[no-any-return]
    return {**metadata, "managedFields": [without(one, "time") for one in fields]}


def run(steps: Steps) -> Object:
    """Run steps through without admission."""
    try:
        step = next(steps)
        while True:
            step = steps.send(step.obj)
    except StopIteration as end:
        result: Object = end.value
        return result
