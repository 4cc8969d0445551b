"""OpenAPI v3 and v2: what `kubectl explain` shows, and that the server validates fields itself.

Custom resources appear with their schema. Built-in kinds appear without theirs, and without the strategic merge
media type, so that kubectl computes their patches from the types it was built with.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.sandbox.apiserver.discovery import group_versions
from tests.sandbox.store import Kind, Object, Store
from tests.sandbox.store.jsondata import without

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SIMPLE_META: dict[str, tuple[str, str]] = {
    "name": ("string", "Name must be unique within a namespace."),
    "generateName": ("string", "A prefix for a unique name that the server makes if name is not given."),
    "namespace": ("string", "The space within which each name must be unique."),
    "labels": ("object", "Keys and values to organize and select objects."),
    "annotations": ("object", "Unstructured keys and values set by tools."),
    "finalizers": ("array", "Must be empty before the object is deleted from the registry."),
    "ownerReferences": ("array", "Objects that this object depends on."),
    "uid": ("string", "The unique value of this object in time and space."),
    "resourceVersion": ("string", "The internal version of this object."),
    "generation": ("integer", "The generation of the desired state."),
    "creationTimestamp": ("string", "When the object was created."),
    "deletionTimestamp": ("string", "When the object will be deleted."),
}


def index(store: Store) -> Object:
    """The answer to /openapi/v3."""
    paths = {}
    for group, versions in group_versions(store).items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            digest = hashlib.sha256(json.dumps(document(store, group, version)).encode()).hexdigest()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(store: Store, group: str, version: str) -> Object:
    """The answer to /openapi/v3/apis/<group>/<version>."""
    kinds = [kind for kind in store.kinds() if (kind.group, kind.version) == (group, version)]
    paths: Object = {}
    for kind in kinds:
        paths.update(_paths(kind))
    schemas = {_name(kind): _schema(kind) for kind in kinds}
    schemas[f"{_META}.ObjectMeta"] = _object_meta()
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def swagger(store: Store) -> Object:
    """The answer to /openapi/v2."""
    definitions: Object = {f"{_META}.ObjectMeta": _object_meta()}
    for kind in store.kinds():
        definitions[_name(kind)] = _schema(kind)
    text = json.dumps(definitions).replace("#/components/schemas/", "#/definitions/")
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": {},
        "definitions": json.loads(text),
    }


def _name(kind: Kind) -> str:
    if not kind.custom:
        return f"io.k8s.api.{kind.group.split('.')[0] or 'core'}.{kind.version}.{kind.kind}"
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _gvk(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _schema(kind: Kind) -> Object:
    found: Object = {"type": "object", **_cleaned(dict(kind.schema or {}))}
    properties: Object = {
        "apiVersion": {
            "type": "string",
            "description": "APIVersion defines the versioned schema of this object.",
        },
        "kind": {"type": "string", "description": "Kind is the REST resource that this object represents."},
        **(found.get("properties") or {}),
        "metadata": {
            "description": "Standard object's metadata.",
            "allOf": [{"$ref": f"#/components/schemas/{_META}.ObjectMeta"}],
            "default": {},
        },
    }
    if not kind.custom:
        properties |= {"spec": {"type": "object"}, "status": {"type": "object"}}
    return {**found, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _cleaned(node: Any) -> Any:
    """A schema without what OpenAPI does not know of rules in CEL."""
    if isinstance(node, dict):
        return {key: _cleaned(item) for key, item in without(node, "x-kubernetes-validations").items()}
    return [_cleaned(one) for one in node] if isinstance(node, list) else node


def _object_meta() -> Object:
    properties: Object = {
        name: {"type": kind, "description": text}
        for name, (kind, text) in _SIMPLE_META.items()
        if kind != "array"
    }
    for name in ("labels", "annotations"):
        properties[name]["additionalProperties"] = {"type": "string"}
    for name, (kind, text) in _SIMPLE_META.items():
        if kind == "array":
            item = {"type": "string"} if name == "finalizers" else {"type": "object"}
            properties[name] = {"type": kind, "items": item, "description": text}
    text = "ObjectMeta is metadata that all persisted resources must have."
    return {"type": "object", "description": text, "properties": properties}


_MEDIA = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")


def _paths(kind: Kind) -> Object:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    root += "/namespaces/{namespace}" if kind.namespaced else ""
    names = ("dryRun", "fieldManager", "fieldValidation")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    common = {
        "parameters": parameters,
        "x-kubernetes-group-version-kind": _gvk(kind),
        "responses": {"200": {"description": "OK"}},
    }
    media = {name: {"schema": {"type": "object"}} for name in _MEDIA}
    return {
        f"{root}/{kind.plural}": {"post": {**common, "x-kubernetes-action": "post"}},
        f"{root}/{kind.plural}/{{name}}": {
            "patch": {**common, "x-kubernetes-action": "patch", "requestBody": {"content": media}},
            "put": {**common, "x-kubernetes-action": "put"},
        },
    }
