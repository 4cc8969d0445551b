"""Objects that the suite writes."""

from __future__ import annotations

from typing import Any

GROUP = "conformance.kairos.io/v1"

WIDGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.conformance.kairos.io"},
    "spec": {
        "group": "conformance.kairos.io",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["toys"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {
                        "name": "Ready",
                        "type": "string",
                        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                    },
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {
                                        "type": "integer",
                                        "minimum": 1,
                                        "maximum": 100,
                                        "format": "int32",
                                    },
                                    "color": {
                                        "type": "string",
                                        "default": "grey",
                                        "enum": ["grey", "red", "blue"],
                                    },
                                    "word": {
                                        "type": "string",
                                        "minLength": 2,
                                        "maxLength": 5,
                                        "pattern": "^[a-z]+$",
                                    },
                                    "frozen": {
                                        "type": "string",
                                        "x-kubernetes-validations": [
                                            {"rule": "self == oldSelf", "message": "frozen never changes"}
                                        ],
                                    },
                                    "since": {"type": "string", "format": "date-time", "nullable": True},
                                    "share": {"x-kubernetes-int-or-string": True},
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "nested": {
                                        "type": "object",
                                        "default": {},
                                        "properties": {"depth": {"type": "integer", "default": 3}},
                                    },
                                    "parts": {
                                        "type": "array",
                                        "maxItems": 3,
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "count": {"type": "integer"},
                                                "note": {"type": "string"},
                                            },
                                        },
                                    },
                                    "tags": {
                                        "type": "array",
                                        "maxItems": 5,
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "steps": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                                },
                                "x-kubernetes-validations": [
                                    {
                                        "rule": "!has(self.word) || self.size > 1",
                                        "message": "a word needs a size above one",
                                        "fieldPath": ".word",
                                    }
                                ],
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "phase": {"type": "string"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type"],
                                            "properties": {
                                                "type": {"type": "string"},
                                                "status": {"type": "string"},
                                                "reason": {"type": "string"},
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


def widget(name: str = "w", **spec: Any) -> dict[str, Any]:
    """A Widget."""
    body = {"size": 5, **spec}
    return {"apiVersion": GROUP, "kind": "Widget", "metadata": {"name": name}, "spec": body}


def config_map(name: str = "c", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"a": "1"}}


def pod(
    name: str = "p", *, node: str = "", labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A Pod of one container; with `node` it counts as scheduled."""
    body: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox:1.36"}], **spec}
    if node:
        body["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": body,
    }


def job(name: str = "j", **spec: Any) -> dict[str, Any]:
    """A suspended Job, which no Job controller starts."""
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]},
    }
    body = {"suspend": True, "template": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def owner(obj: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A reference to an object as an owner."""
    metadata = obj["metadata"]
    found = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {**found, **more}
