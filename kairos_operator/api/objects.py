"""Whole objects of the two kinds: metadata, spec and status as one frozen value, with one door in.

`parse_*` raises `Unreadable` for an object whose spec the models refuse; only an API server without this
project's CRD schema lets such an object in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from kairos_operator.api.base import ApiModel, moment
from kairos_operator.api.names import ANNOTATION_PAUSED, ANNOTATION_PAUSED_BY, Claim
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.api.status import NodeOpStatus, NodeOpUpgradeStatus, OperationStatus


class Unreadable(ValueError):
    """An object's spec or status does not follow the models; the text names the fields."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller among an object's owner references."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What decisions need of an object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = field(default="", compare=False)
    generation: int = 0
    owner: Owner | None = None
    paused: bool = False
    paused_by_owner: bool = False  # the pause was handed on by the owning upgrade
    disowned: bool = False  # its upgrade is deleted, or about to be, and it will follow
    finalizers: tuple[str, ...] = ()
    created_at: datetime | None = None
    deleting_since: datetime | None = None

    @property
    def claim(self) -> Claim:
        """The object as the holder of a node."""
        return Claim(self.namespace, self.name, self.uid)

    @property
    def wishes(self) -> tuple[str, bool, bool]:
        """What people want: this very object, that it goes, that it holds."""
        return self.uid, self.deleting_since is not None, self.paused


Spec = TypeVar("Spec", bound=ApiModel)
Status = TypeVar("Status", bound=OperationStatus)


@dataclass(frozen=True, slots=True)
class ApiObject(Generic[Spec, Status]):
    """One object of either kind."""

    meta: Meta
    spec: Spec
    status: Status


NodeOp = ApiObject[NodeOpSpec, NodeOpStatus]
NodeOpUpgrade = ApiObject[NodeOpUpgradeSpec, NodeOpUpgradeStatus]


@lru_cache(maxsize=1024)  # thousands of children have the same one
def _owner(kind: str, name: str, uid: str) -> Owner:
    return Owner(kind, name, uid)


def parse_owner(metadata: Mapping[str, Any]) -> Owner | None:
    """The owner reference that says `controller: true`, of which there is at most one."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            return _owner(reference["kind"], reference["name"], reference["uid"])
    return None


def parse_meta(metadata: Mapping[str, Any]) -> Meta:
    """The metadata of any object."""
    annotations = metadata.get("annotations") or {}
    return Meta(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        owner=parse_owner(metadata),
        paused=annotations.get(ANNOTATION_PAUSED) == "true",
        paused_by_owner=ANNOTATION_PAUSED_BY in annotations,
        finalizers=tuple(metadata.get("finalizers") or ()),
        created_at=moment(metadata.get("creationTimestamp")),
        deleting_since=moment(metadata.get("deletionTimestamp")),
    )


def parse_node_op(obj: Mapping[str, Any]) -> NodeOp:
    """A NodeOp from the wire; raises Unreadable."""
    return ApiObject(
        parse_meta(obj["metadata"]), _read(NodeOpSpec, obj, "spec"), _read(NodeOpStatus, obj, "status")
    )


def parse_node_op_upgrade(obj: Mapping[str, Any]) -> NodeOpUpgrade:
    """A NodeOpUpgrade from the wire; raises Unreadable."""
    return ApiObject(
        parse_meta(obj["metadata"]),
        _read(NodeOpUpgradeSpec, obj, "spec"),
        _read(NodeOpUpgradeStatus, obj, "status"),
    )


Model = TypeVar("Model", bound=ApiModel)


def _read(model: type[Model], obj: Mapping[str, Any], part: str) -> Model:
    try:
        return model.model_validate(obj.get(part) or {})
    except ValidationError as error:
        faults = "; ".join(
            ".".join([part, *(str(step) for step in fault["loc"])]) + ": " + fault["msg"]
            for fault in error.errors()
        )
        raise Unreadable(faults) from None


def owner_reference(resource: Resource, meta: Meta) -> dict[str, Any]:
    """The controller owner reference by which garbage collection finds an object's children."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def reference(resource: Resource, meta: Meta) -> dict[str, str]:
    """An ObjectReference to an object, as Events carry it."""
    place = {"namespace": meta.namespace} if meta.namespace else {}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        **place,
    }


KINDS: Mapping[str, Resource] = {resource.kind: resource for resource in (NODE_OPS, NODE_OP_UPGRADES)}
