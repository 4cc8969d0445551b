"""What the store knows of each resource: names, scope, and the few strategy bits in which kinds differ.

The built-in table says what the API server's registry strategies say; custom resources get their `Kind` from
their definition (see crds.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Address(Protocol):
    """Whatever names a resource: the operator's `Resource` values fit, and so does `Kind`."""

    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def plural(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One served version of a resource."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    list_kind: str = ""
    status: bool = False  # has a status subresource
    generation: bool = False  # metadata.generation counts spec changes
    unconditional: bool = True  # a PUT may leave resourceVersion out
    custom: bool = False
    schema: Mapping[str, Any] | None = None  # openAPIV3Schema of a custom resource's version
    columns: tuple[Mapping[str, Any], ...] = ()  # additionalPrinterColumns
    selectable: frozenset[str] = frozenset()
    returns_deleted: bool = False  # DELETE answers the object instead of a Status
    orphans: bool = False  # DELETE without a propagation policy orphans the dependents
    storage: tuple[str, str] = field(default=("", ""))  # where objects are kept; shared by the two Event APIs
    storage_version: str = ""  # apiVersion that stored objects carry

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"

    @property
    def store_key(self) -> tuple[str, str]:
        return self.storage if self.storage[1] else (self.group, self.plural)


def _core(kind: str, plural: str, **more: Any) -> Kind:
    return Kind("", "v1", kind, plural, singular=kind.lower(), **more)


def _of(group: str, kind: str, plural: str, **more: Any) -> Kind:
    return Kind(group, "v1", kind, plural, singular=kind.lower(), **more)


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_ALL = ("all",)

BUILT_IN: tuple[Kind, ...] = (
    _core("Namespace", "namespaces", namespaced=False, short_names=("ns",), status=True),
    _core("Node", "nodes", namespaced=False, short_names=("no",), status=True),
    _core(
        "Pod",
        "pods",
        short_names=("po",),
        categories=_ALL,
        status=True,
        generation=True,
        returns_deleted=True,
    ),
    _core("Event", "events", short_names=("ev",)),
    _core("Secret", "secrets"),
    _core("ConfigMap", "configmaps", short_names=("cm",)),
    _core("ServiceAccount", "serviceaccounts", short_names=("sa",), returns_deleted=True),
    _core("Service", "services", short_names=("svc",), categories=_ALL, status=True, returns_deleted=True),
    _of(
        "apps",
        "Deployment",
        "deployments",
        short_names=("deploy",),
        categories=_ALL,
        status=True,
        generation=True,
    ),
    _of(
        "apps",
        "ReplicaSet",
        "replicasets",
        short_names=("rs",),
        categories=_ALL,
        status=True,
        generation=True,
    ),
    _of(
        "apps", "DaemonSet", "daemonsets", short_names=("ds",), categories=_ALL, status=True, generation=True
    ),
    _of("batch", "Job", "jobs", categories=_ALL, status=True, generation=True, orphans=True),
    _of(
        "events.k8s.io",
        "Event",
        "events",
        short_names=("ev",),
        storage=("", "events"),
        storage_version="v1",
    ),
    _of("coordination.k8s.io", "Lease", "leases", unconditional=False),
    _of(
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        short_names=("pdb",),
        status=True,
        generation=True,
        unconditional=False,
    ),
    _of(_RBAC, "Role", "roles"),
    _of(_RBAC, "RoleBinding", "rolebindings"),
    _of(_RBAC, "ClusterRole", "clusterroles", namespaced=False),
    _of(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _of(
        _ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        namespaced=False,
        categories=("api-extensions",),
        generation=True,
        unconditional=False,
    ),
    _of(
        _ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
        categories=("api-extensions",),
        generation=True,
        unconditional=False,
    ),
    _of(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        status=True,
        generation=True,
        unconditional=False,
    ),
)
