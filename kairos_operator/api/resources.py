"""The Kubernetes resources that the operator reads and writes, as values.

A `Resource` is what a URL needs to know of a kind; nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the Kubernetes API: where it is served and whether it lives in a namespace."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of an object of this kind, `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of one object or subresource of it.

        Without a namespace, the collection of a namespaced resource is the one over all namespaces.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            root += f"/namespaces/{namespace}"
        parts = [root, self.plural, name, subresource]
        return "/".join(part for part in parts if part)


GROUP = "operator.kairos.io"
VERSION = "v1alpha1"

NODE_OPS = Resource(GROUP, VERSION, "NodeOp", "nodeops")
NODE_OP_UPGRADES = Resource(GROUP, VERSION, "NodeOpUpgrade", "nodeopupgrades")

NODES = Resource("", "v1", "Node", "nodes", namespaced=False)
PODS = Resource("", "v1", "Pod", "pods")
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
SECRETS = Resource("", "v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts")
JOBS = Resource("batch", "v1", "Job", "jobs")
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
# One storage, two APIs: what is written by the old one has the times by which kubectl describe sorts.
CORE_EVENTS = Resource("", "v1", "Event", "events")
EVENTS = Resource("events.k8s.io", "v1", "Event", "events")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
VALIDATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
