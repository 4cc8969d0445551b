"""`plan`: reads what a forecast rests on, for an object in the cluster or in a manifest, and shows it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairos_operator.api.cluster import PodView, parse_node, parse_pod
from kairos_operator.api.crd import object_schema
from kairos_operator.api.nodeop import DEFAULT_IMAGE
from kairos_operator.api.objects import KINDS
from kairos_operator.api.resources import GROUP, LEASES, NAMESPACES, NODES, POD_DISRUPTION_BUDGETS, PODS
from kairos_operator.cli.budgets import Budget, parse_budget
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.durations import number_of
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.forecast import Forecast, Ground, data, shown_version
from kairos_operator.cli.operations import Operation, as_node_op, find, parse_operation
from kairos_operator.cli.remarks import forecast
from kairos_operator.cli.screen import Grid, Output, Screen
from kairos_operator.cli.status import now
from kairos_operator.runtime.errors import Forbidden, NotFound
from kairos_operator.settings import LEASE_NAME
from webhooks.defaults import defaulted
from webhooks.documents import NotYaml, read_documents
from webhooks.faults import ordered
from webhooks.structure import unknown_fields
from webhooks.validate import faults_of
from webhooks.warnings import warnings_for

SHOWN_TURNS = 40
HEADINGS = ("BATCH", "NODE", "ROLE", "VERSION", "EXPECTED")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the webhook's warnings may look up here; nodes have remarks of their own."""

    labels: Mapping[str, str] | None

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        return None

    def namespace_labels(self, _namespace: str) -> Mapping[str, str] | None:
        return self.labels


async def plan(
    cluster: Cluster,
    screen: Screen,
    name: str | None,
    file: str | None,
    output: Output | None,
    *,
    every: bool,
) -> Exit:
    """Show what would happen; the exit code tells whether something would keep it from happening."""
    if (name is None) == (file is None):
        raise Trouble("give either NAME or -f FILE", Exit.USAGE)
    operations = [await find(cluster, name)] if name else manifests(_text(str(file)), cluster.namespace)
    found = [forecast(one, await _ground(cluster, one), now()) for one in operations if _open(one)]
    if output is not None:
        whole = [data(one) for one in found]
        screen.data(whole[0] if len(whole) == 1 else whole, output)
    else:
        for one in found:
            show(screen, one, every=every)
    return Exit.UNFINISHED if any(one.stopped for one in found) else Exit.DONE


def _open(operation: Operation) -> bool:
    if operation.final:
        raise Trouble(
            f"{operation.label} has ended ({operation.status.phase}) and never starts again; `kubectl kairos retry"
            f" {operation.meta.name}` makes a new run for what is left"
        )
    return True


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Trouble(f"{file} cannot be read: {reason}", Exit.USAGE) from error


def manifests(text: str, namespace: str) -> list[Operation]:
    """The operations in a file, defaults filled in. Raises Trouble for faults, or where there is none."""
    try:
        found = [document.value for document in read_documents(text)]
    except NotYaml as error:
        raise Trouble(f"line {error.line}: {error}", Exit.USAGE) from error
    ours = [
        one
        for one in found
        if isinstance(one, dict) and str(one.get("apiVersion", "")).startswith(f"{GROUP}/")
    ]
    if not ours:
        raise Trouble("there is no NodeOp or NodeOpUpgrade in the file", Exit.USAGE)
    return [_parsed(one, namespace) for one in ours]


def _parsed(obj: Mapping[str, Any], namespace: str) -> Operation:
    resource = KINDS.get(str(obj.get("kind")))
    if resource is None:
        raise Trouble(
            f"the kind {obj.get('kind')!r} is not known; it is one of {', '.join(KINDS)}", Exit.USAGE
        )
    filled = defaulted(resource, obj, DEFAULT_IMAGE)
    schema = object_schema(resource)
    schema["properties"].pop("metadata")
    known = {name: value for name, value in obj.items() if name not in ("metadata", "status")}
    faults = ordered([*unknown_fields(schema, known, ()), *faults_of(resource, filled)])
    if faults:
        raise Trouble("; ".join(str(fault) for fault in faults), Exit.USAGE)
    metadata = {"namespace": namespace, **(filled.get("metadata") or {})}
    metadata.setdefault("name", metadata.get("generateName", ""))
    metadata.pop("uid", None)
    return parse_operation({"kind": resource.kind, "metadata": metadata, "spec": filled["spec"]})


async def _ground(cluster: Cluster, operation: Operation) -> Ground:
    """What the forecast needs of the cluster, as far as the caller may read it."""
    nodes = (await cluster.list(NODES)).items
    drains = as_node_op(operation).spec.drains
    pods = await _pods(cluster) if drains else ()
    operator_pod = await _operator_pod(cluster)
    versions = {
        node["metadata"]["name"]: shown_version(
            node["metadata"].get("labels") or {}, node["metadata"].get("annotations") or {}
        )
        for node in nodes
    }
    return Ground(
        nodes={node["metadata"]["name"]: parse_node(node) for node in nodes},
        versions=versions,
        pods=pods,
        budgets=await _budgets(cluster) if drains else (),
        operator_pod=operator_pod,
        operator_node=await _node_of(cluster, operator_pod, pods),
        warnings=await _warnings(cluster, operation),
    )


async def _pods(cluster: Cluster) -> tuple[PodView, ...] | None:
    try:
        return tuple(parse_pod(pod) for pod in (await cluster.list(PODS)).items)
    except Forbidden:
        return None


async def _budgets(cluster: Cluster) -> tuple[Budget, ...] | None:
    try:
        return tuple(parse_budget(one) for one in (await cluster.list(POD_DISRUPTION_BUDGETS)).items)
    except Forbidden:
        return None


async def _operator_pod(cluster: Cluster) -> str:
    """The pod that holds the operator's Lease, as `namespace/name`; nothing where that is not known."""
    try:
        leases = (await cluster.list(LEASES, field_selector=f"metadata.name={LEASE_NAME}")).items
    except Forbidden:
        return ""
    holders = {
        lease["metadata"]["namespace"]: (lease.get("spec") or {}).get("holderIdentity") for lease in leases
    }
    return next((f"{place}/{one.partition('_')[0]}" for place, one in holders.items() if one), "")


async def _node_of(cluster: Cluster, pod: str, pods: Iterable[PodView] | None) -> str:
    if not pod:
        return ""
    seen = next((one.node for one in pods or () if one.path == pod), "")
    if seen:
        return seen
    namespace, _, name = pod.partition("/")
    try:
        return parse_pod(await cluster.client.get(PODS, name, namespace)).node
    except (NotFound, Forbidden):
        return ""


async def _warnings(cluster: Cluster, operation: Operation) -> tuple[str, ...]:
    namespace = operation.meta.namespace
    try:
        labels = (await cluster.client.get(NAMESPACES, namespace))["metadata"].get("labels") or {}
    except (NotFound, Forbidden):
        labels = None
    raw = {"metadata": operation.raw["metadata"], "spec": operation.raw["spec"]}
    return tuple(warnings_for(operation.resource, raw, namespace, _Known(labels)))


def extent(found: Forecast) -> str:
    """How many nodes, in how many batches; the first of them may have to wait for what is in flight."""
    batches = {turn.batch for turn in found.turns}
    at_once = found.node_op.spec.concurrency or "all"
    nodes = number_of("node", len(found.turns)) + (" still to come" if found.operation.status.nodes else "")
    after = ", after what is in flight" if batches and 1 not in batches else ""
    told = number_of("batch", len(batches), "batches")
    return f"{nodes}, {at_once} at a time, in {told} if all take the same time{after}"


def show(screen: Screen, found: Forecast, *, every: bool) -> None:
    """A forecast as text and table."""
    operation, turns = found.operation, found.turns
    screen.show(f"{operation.label} in {operation.meta.namespace}: {operation.about}")
    screen.show(extent(found))
    shown = turns if every else turns[:SHOWN_TURNS]
    if shown:
        rows = [(str(one.batch), one.node, one.role, one.version or "?", one.expected) for one in shown]
        screen.show("", Grid(HEADINGS, rows))
    if len(shown) < len(turns):
        screen.show(f"... and {len(turns) - len(shown)} more; --all-nodes shows them")
    if found.remarks:
        screen.show("")
    for remark in found.remarks:
        screen.show(f"{remark.gravity}: {remark.text}" + (f" ({remark.remedy})" if remark.remedy else ""))
    if not found.stopped:
        screen.show("", "Nothing stands against it now.")
