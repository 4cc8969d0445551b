"""The four kinds of PATCH over one update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tests.sandbox.store import writes
from tests.sandbox.store.apply import applied
from tests.sandbox.store.errors import Fault, StatusError, bad_request, invalid, not_implemented
from tests.sandbox.store.jsondata import Object, merge_patch
from tests.sandbox.store.jsonpatch import json_patch
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.shelf import Key
from tests.sandbox.store.strategic import strategic_merge
from tests.sandbox.store.writes import Maker, Options, Steps, unknown_fields

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

PatchKind = Literal["merge", "json", "strategic", "apply"]


def patch_steps(
    store: State, kind: Kind, key: Key, how: PatchKind, body: Any, options: Options, subresource: str
) -> Steps:
    """The steps of a PATCH; an apply to a missing object creates it."""
    if how == "apply":
        if not options.field_manager:
            fault = Fault("Required", "fieldManager", None, "is required for apply patch")
            raise invalid("meta.k8s.io", "PatchOptions", "", [fault])
        _refuse_undeclared(store, kind, key, body)
        if not subresource and store.find(kind, key) is None:
            first = applied(kind, None, body, options, subresource, store.clock())
            return writes.create(store, kind, key[0] or None, first, options, name=key[1])
        return writes.update(
            store,
            kind,
            key,
            lambda old: applied(kind, old, body, options, subresource, store.clock()),
            options,
            subresource,
        )
    return writes.update(store, kind, key, _maker(kind, how, body), options, subresource)


def _refuse_undeclared(store: State, kind: Kind, key: Key, body: Any) -> None:
    """An apply may not name a field that the schema lacks, whatever fieldValidation says."""
    if not kind.custom or not isinstance(body, dict):
        return
    unknown = unknown_fields(body, store.strategy(kind).decode(body, None))
    if unknown:
        head = (
            f"failed to create typed patch object ({key[0]}/{key[1]}; {kind.api_version}, Kind={kind.kind})"
        )
        raise StatusError(500, "", f"{head}: .{unknown[0]}: field not declared in schema")


def _maker(kind: Kind, how: PatchKind, body: Any) -> Maker:
    if how == "json":
        return lambda old: _object(json_patch(old, body))
    if not isinstance(body, dict):
        raise bad_request("a merge patch is a JSON object")
    if how == "merge":
        return lambda old: _object(merge_patch(old, body))
    if how != "strategic":
        raise not_implemented(f"patches of type {how}")
    if kind.custom:
        raise _unsupported()
    return lambda old: _object(strategic_merge(old, body))


def _unsupported() -> StatusError:
    text = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    return StatusError(415, "UnsupportedMediaType", text, details={})


def _object(value: Any) -> Object:
    if not isinstance(value, dict):
        raise bad_request("the patched value is not an object")
    return value
