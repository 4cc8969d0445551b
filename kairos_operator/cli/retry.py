"""`retry`: a new run of an operation that failed, for the nodes that it failed on or did not reach.

An operation is a one-off, so this is a new object, named by the API server, with the same spec and a selector for just
those nodes. Where they are too many to name, all others are left out by name instead, those that joined since too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kairos_operator.api.cluster import parse_node
from kairos_operator.api.resources import NODES
from kairos_operator.api.selectors import LabelSelector
from kairos_operator.api.status import Outcome
from kairos_operator.cli.connection import Access, Cluster
from kairos_operator.cli.create import DryRun, body_of, create, hostnames, imagine
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.operations import Operation, find
from kairos_operator.cli.screen import Output, Screen
from kairos_operator.cli.selector import HOSTNAME, MAX_VALUES, among, with_requirements
from kairos_operator.cli.status import watch_one
from kairos_operator.runtime.client import Object

MAX_REQUIREMENTS = 64  # of one selector; the CRD's own bound
_DONE = (Outcome.COMPLETED, Outcome.SKIPPED)


async def retry(
    cluster: Cluster,
    screen: Screen,
    name: str,
    output: Output | None,
    *,
    dry_run: DryRun,
    watch: bool,
    timeout: float | None,
) -> Exit:
    """Make the new run, or only show it."""
    operation = await find(cluster, name)
    left = unfinished(operation)
    nodes = (await cluster.list(NODES)).items
    values, missing = hostnames(nodes, left)
    if missing:
        screen.warn(f"no longer there, so left out: {', '.join(missing)}")
    if not values:
        raise Trouble("none of the nodes that are left exists any more, so there is nothing to retry")
    if len(values) <= MAX_VALUES:
        selector = with_requirements(None, among(values))
    else:
        selector = without(operation.raw["spec"].get("nodeSelector"), others(operation, nodes, left))
    body = retried(operation, selector)
    if dry_run is DryRun.CLIENT:
        return imagine(screen, operation.resource, body, Access(namespace=operation.meta.namespace), output)
    if output is None:
        screen.warn(f"{len(values)} nodes: {', '.join(left[:10])}" + (" ..." if len(left) > 10 else ""))
    made = await create(cluster, screen, operation.resource, body, output, dry_run=dry_run)
    cordoned = [one.name for one in map(parse_node, nodes) if one.unschedulable and one.name in left]
    if cordoned:
        names = " ".join(cordoned)
        screen.warn(f"Still cordoned, and left so by this run: kubectl uncordon {names}, once it is good")
    if watch and dry_run is DryRun.NONE:
        return await watch_one(cluster, screen, made, timeout, each_node=False)
    return Exit.DONE


def unfinished(operation: Operation) -> list[str]:
    """The nodes that the operation failed on or did not reach. Raises Trouble where there is none, or not yet."""
    name = operation.meta.name
    if not operation.final:
        raise Trouble(
            f"{operation.label} has not ended, so what is left is not known; `kubectl kairos status {name} --watch`"
            " waits for it",
            Exit.UNFINISHED,
        )
    left = sorted(node for node, record in operation.status.nodes.items() if record.outcome not in _DONE)
    if not left:
        raise Trouble(
            f"{operation.label} has nothing left to do: {operation.status.message or 'no node failed'}"
        )
    return left


def others(operation: Operation, nodes: Sequence[Object], left: Sequence[str]) -> list[str]:
    """The hostnames of nodes that are not left: those that are done, and what else its selector takes now."""
    spec, records = operation.raw["spec"].get("nodeSelector"), operation.status.nodes
    selector = LabelSelector.model_validate(spec or {})
    views = [one for one in map(parse_node, nodes) if one.name not in left]
    return hostnames(
        nodes, [one.name for one in views if one.name in records or selector.matches(one.labels)]
    )[0]


def without(selector: dict[str, Any] | None, unwanted: Sequence[str]) -> dict[str, Any]:
    """The operation's own selector, less the unwanted hostnames. Raises Trouble where those are too many."""
    values = sorted(unwanted)
    parts = [values[at : at + MAX_VALUES] for at in range(0, len(values), MAX_VALUES)]
    present = len((selector or {}).get("matchExpressions") or ())
    if present + len(parts) > MAX_REQUIREMENTS:
        raise Trouble(
            "the nodes are too many for a selector by name; label those that are left and select the label"
        )
    return with_requirements(
        selector, *({"key": HOSTNAME, "operator": "NotIn", "values": part} for part in parts)
    )


def retried(operation: Operation, selector: Mapping[str, Any]) -> dict[str, Any]:
    """The new object: the spec as it was, for the selected nodes."""
    metadata = operation.raw["metadata"]
    prefix = metadata.get("generateName") or f"{operation.meta.name[:240]}-retry-"
    spec = {**operation.raw["spec"], "nodeSelector": dict(selector)}
    return body_of(operation.resource, spec, name=None, prefix=prefix, namespace=operation.meta.namespace)
