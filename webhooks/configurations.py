"""How the API server is told of the webhooks: the two configurations, for a service or for a URL.

An update that leaves the spec alone is not sent here at all (`matchConditions`): labels, finalizers and owners of
an object stay editable while no webhook runs. Status writes go to a subresource and are not named by the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kairos_operator.api.crd import MODELS
from kairos_operator.api.resources import Resource
from webhooks.server import path_of

TIMEOUT_SECONDS = 5
WEBHOOK_SUFFIX = ".operator.kairos.io"
"""Of the names of our webhooks; one of another name in our configurations is somebody else's."""
SPEC_CHANGES = {
    "name": "spec-changes",
    "expression": "request.operation == 'CREATE' || object.?spec != oldObject.?spec",
}
ClientConfig = Callable[[str], dict[str, Any]]


def by_service(name: str, namespace: str, port: int = 443) -> ClientConfig:
    """A client configuration for a service; its caBundle is filled in by whoever makes the certificate."""
    return lambda path: {"service": {"name": name, "namespace": namespace, "port": port, "path": path}}


def by_url(base: str, ca_bundle: str) -> ClientConfig:
    """A client configuration for a server outside the cluster; `ca_bundle` is base64 of PEM."""
    return lambda path: {"url": f"{base}{path}", "caBundle": ca_bundle}


def mutating_configuration(name: str, client: ClientConfig) -> dict[str, Any]:
    """The MutatingWebhookConfiguration of both kinds."""
    hooks = [_webhook("mutate", res, client) | {"reinvocationPolicy": "IfNeeded"} for res in MODELS]
    return _configuration("MutatingWebhookConfiguration", name, hooks)


def validating_configuration(name: str, client: ClientConfig) -> dict[str, Any]:
    """The ValidatingWebhookConfiguration of both kinds."""
    hooks = [_webhook("validate", res, client) for res in MODELS]
    return _configuration("ValidatingWebhookConfiguration", name, hooks)


def _configuration(kind: str, name: str, hooks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": hooks,
    }


def _webhook(door: str, resource: Resource, client: ClientConfig) -> dict[str, Any]:
    return {
        "name": f"{door}-{resource.kind.lower()}.{resource.group}",
        "admissionReviewVersions": ["v1"],
        "clientConfig": client(path_of(door, resource)),
        "failurePolicy": "Fail",
        "matchConditions": [SPEC_CHANGES],
        "rules": [
            {
                "apiGroups": [resource.group],
                "apiVersions": [resource.version],
                "operations": ["CREATE", "UPDATE"],
                "resources": [resource.plural],
                "scope": "Namespaced",
            }
        ],
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
    }


def bundle_patch(configuration: Mapping[str, Any], bundle: str) -> list[dict[str, Any]]:
    """The JSON patch that gives our webhooks in a configuration the CA bundle; empty where they have it.

    It fails where the configuration has changed since it was read.
    """
    found: list[dict[str, Any]] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        ours = str(webhook.get("name", "")).endswith(WEBHOOK_SUFFIX)
        if ours and webhook.get("clientConfig", {}).get("caBundle") != bundle:
            at = f"/webhooks/{index}"
            found.append({"op": "test", "path": f"{at}/name", "value": webhook["name"]})
            found.append({"op": "add", "path": f"{at}/clientConfig/caBundle", "value": bundle})
    version = configuration["metadata"].get("resourceVersion")
    if found and version:
        found.insert(0, {"op": "test", "path": "/metadata/resourceVersion", "value": version})
    return found
