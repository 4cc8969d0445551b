"""New operations: the objects that the flags describe, and what creating them says.

Only what was asked for stands in the object, so that every default is the cluster's. Faults are found before anything
is sent, by the rules of the operator's own webhook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from kairos_operator.api.nodeop import DEFAULT_IMAGE
from kairos_operator.api.resources import NODES, Resource
from kairos_operator.cli.connection import Access, Cluster, connected
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.operations import Operation, parse_operation
from kairos_operator.cli.screen import Output, Screen
from kairos_operator.cli.selector import HOSTNAME
from webhooks.defaults import defaulted
from webhooks.faults import ordered
from webhooks.lookups import NoLookups
from webhooks.validate import faults_of
from webhooks.warnings import warnings_for


class DryRun(StrEnum):
    """Who looks at an object that is not to be created."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


def body_of(
    resource: Resource, spec: Mapping[str, Any], *, name: str | None, prefix: str, namespace: str | None
) -> dict[str, Any]:
    """The object with this spec; without a name, the API server makes one that begins with `prefix`."""
    metadata = {"name": name} if name else {"generateName": prefix}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": without_unset(spec),
    }


def without_unset(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without what no flag has set; a part that is empty then goes too."""
    found: dict[str, Any] = {}
    for field, value in spec.items():
        if isinstance(value, Mapping) and field != "nodeSelector":
            value = without_unset(value) or None
        if value is not None:
            found[field] = value
    return found


def checked(resource: Resource, body: Mapping[str, Any], namespace: str) -> list[str]:
    """The warnings about an object. Raises Trouble with all of its faults."""
    filled = defaulted(resource, body, DEFAULT_IMAGE)
    faults = ordered(faults_of(resource, filled))
    if faults:
        raise Trouble("; ".join(str(fault) for fault in faults), Exit.USAGE)
    return warnings_for(resource, filled, namespace, NoLookups())


async def create(
    cluster: Cluster,
    screen: Screen,
    resource: Resource,
    body: Mapping[str, Any],
    output: Output | None,
    *,
    dry_run: DryRun = DryRun.NONE,
) -> Operation:
    """Create the object, or have the server look at it, and say so."""
    for warning in checked(resource, body, cluster.namespace):
        screen.warn(f"Warning: {warning}")
    raw = await cluster.client.create(resource, body, cluster.namespace, dry_run=dry_run is DryRun.SERVER)
    operation = parse_operation({"kind": resource.kind, **raw})
    _say(screen, operation.title, raw, output, "(server dry run)" if dry_run is DryRun.SERVER else "")
    return operation


def imagine(
    screen: Screen, resource: Resource, body: Mapping[str, Any], access: Access, output: Output | None
) -> Exit:
    """`--dry-run=client`: check and show the object without a cluster."""
    for warning in checked(resource, body, access.namespace or "default"):
        screen.warn(f"Warning: {warning}")
    name = body["metadata"].get("name") or body["metadata"]["generateName"]
    _say(screen, f"{resource.kind.lower()}.{resource.group}/{name}", body, output, "(dry run)")
    return Exit.DONE


def _say(screen: Screen, title: str, raw: Mapping[str, Any], output: Output | None, note: str) -> None:
    if output is not None:
        screen.data(dict(raw), output, [title])
    else:
        screen.show(f"{title} created {note}".rstrip())


def hostnames(nodes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The hostname labels by which a selector finds these nodes, and the names that no node has any more.

    Raises Trouble for a node without the label, or one that shares it, since a selector would miss or mix them up.
    """
    labels = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(HOSTNAME, "") for node in nodes
    }
    values = list(labels.values())
    there = [name for name in names if name in labels]
    for name in there:
        if not labels[name] or values.count(labels[name]) > 1:
            raise Trouble(
                f"node {name} has no label {HOSTNAME} of its own; choose it by another label with -l"
            )
    return [labels[name] for name in there], [name for name in names if name not in labels]


async def hostnames_of(access: Access, names: Sequence[str]) -> list[str]:
    """The hostname labels of nodes that must all be there."""
    async with connected(access) as cluster:
        listing = await cluster.list(NODES)
    found, missing = hostnames(listing.items, names)
    if missing:
        raise Trouble(f"there is no node {', '.join(missing)}; `kubectl get nodes` lists them")
    return found
