"""Objects and reviews as the API server sends them."""

from __future__ import annotations

import base64
import json
from typing import Any

from kairos_operator.api.resources import GROUP, NODE_OP_UPGRADES, NODE_OPS, Resource

Object = dict[str, Any]
STARTED = "2026-05-04T03:02:01Z"


def node_op(name: str = "op", **spec: Any) -> Object:
    """A NodeOp with a command and an image, and what `spec` adds to that."""
    return _object(NODE_OPS, name, {"command": ["ls"], "image": "alpine:3.20"} | spec)


def upgrade(name: str = "up", **spec: Any) -> Object:
    """A NodeOpUpgrade with an image, and what `spec` adds to that."""
    return _object(NODE_OP_UPGRADES, name, {"image": "quay.io/kairos/hadron:v4.0.3"} | spec)


def in_phase(obj: Object, phase: str) -> Object:
    """The object with a status of that phase."""
    return obj | {"status": {"phase": phase, "startedAt": STARTED}}


def resource_of(obj: Object) -> Resource:
    return NODE_OPS if obj["kind"] == "NodeOp" else NODE_OP_UPGRADES


def review(obj: Object, old: Object | None = None, **request: Any) -> bytes:
    """An AdmissionReview request for a create, or for an update of `old`."""
    asked = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": GROUP, "version": "v1alpha1", "kind": obj.get("kind", "")},
        "operation": "UPDATE" if old else "CREATE",
        "name": obj.get("metadata", {}).get("name", ""),
        "namespace": "default",
        "userInfo": {"username": "jane"},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked | request}
    return json.dumps(body).encode()


def patch_in(answer: Object) -> list[Object]:
    """The JSON patch in an AdmissionReview answer."""
    patch = answer["response"].get("patch")
    found: list[Object] = json.loads(base64.b64decode(patch)) if patch else []
    return found


def _object(resource: Resource, name: str, spec: Object) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "default", "uid": "1"},
        "spec": spec,
    }
