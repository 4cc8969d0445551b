"""What `why` has to read: the operation, its nodes in flight, its pods and Jobs, and the operator's Lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kairos_operator.api.base import moment
from kairos_operator.api.cluster import NodeView, parse_job, parse_node, parse_pod
from kairos_operator.api.resources import JOBS, LEASES, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.finding import Facts, Finding, OperatorLease
from kairos_operator.cli.operations import Operation, find, parse_operation
from kairos_operator.cli.screen import Output, Screen
from kairos_operator.cli.status import now
from kairos_operator.cli.why import OPERATOR_AWAY, why
from kairos_operator.runtime.client import Object
from kairos_operator.runtime.errors import Forbidden, NotFound
from kairos_operator.settings import LEASE_NAME

RENEWAL_SECONDS = 5.0  # in which an operator that runs renews its Lease twice
SINGLE_READS = 20  # nodes in flight, up to which each is read by itself instead of all nodes of the cluster


async def ask(cluster: Cluster, screen: Screen, name: str, output: Output | None) -> Exit:
    """Say what is in the way of an operation; the exit code tells whether something is."""
    operation = await find(cluster, name)
    finding = await found(cluster, await facts_about(cluster, operation))
    if output is not None:
        screen.data(finding.data(operation), output)
        return finding.code
    screen.show(finding.sentence)
    if finding.remedy:
        screen.show(f"What to do: {finding.remedy}")
    return finding.code


async def found(cluster: Cluster, facts: Facts) -> Finding:
    """What is in the way. A Lease that seems old by this machine's clock is read twice: the clock may be off."""
    finding = why(facts)
    if finding.reason != OPERATOR_AWAY:
        return finding
    await asyncio.sleep(RENEWAL_SECONDS)
    before = {(one.namespace, one.renewed_at) for one in facts.leases}
    leases = tuple(
        one if (one.namespace, one.renewed_at) in before else replace(one, renewed_at=facts.now)
        for one in await _leases(cluster)
    )
    return why(replace(facts, leases=leases))


async def facts_about(cluster: Cluster, operation: Operation) -> Facts:
    """The facts about an operation; one that has ended needs no others than its own."""
    if operation.final:
        return Facts(operation, now())
    namespace, selector = operation.meta.namespace, operation.pod_selector
    pods = await cluster.list(PODS, namespace, label_selector=selector)
    jobs = await cluster.list(JOBS, namespace, label_selector=selector)
    flying = [name for name, record in operation.status.nodes.items() if record.in_flight]
    return Facts(
        operation,
        now(),
        await _leases(cluster),
        await _nodes(cluster, flying),
        tuple(parse_pod(pod) for pod in pods.items),
        tuple(parse_job(job) for job in jobs.items),
        await _carrier(cluster, operation),
    )


async def _carrier(cluster: Cluster, operation: Operation) -> Operation | None:
    """The NodeOp of an upgrade; somebody may have paused that one."""
    if operation.resource != NODE_OP_UPGRADES:
        return None
    try:
        raw = await cluster.client.get(NODE_OPS, operation.meta.name, operation.meta.namespace)
    except NotFound:
        return None
    return parse_operation({"kind": NODE_OPS.kind, **raw})


async def _nodes(cluster: Cluster, names: Iterable[str]) -> dict[str, NodeView]:
    """The nodes that exist; none where the caller may not read nodes, whose messages then have to do."""
    wanted = list(names)
    try:
        if len(wanted) > SINGLE_READS:
            listed = (await cluster.list(NODES)).items
        else:
            listed = [node for name in wanted if (node := await _node(cluster, name)) is not None]
    except Forbidden:
        return {}
    return {node.name: node for node in map(parse_node, listed) if node.name in wanted}


async def _node(cluster: Cluster, name: str) -> Object | None:
    try:
        return await cluster.client.get(NODES, name)
    except NotFound:
        return None  # it was deleted; the operator says so itself


async def _leases(cluster: Cluster) -> tuple[OperatorLease, ...]:
    """The operator's Lease, wherever it was installed."""
    try:
        listing = await cluster.list(LEASES, field_selector=f"metadata.name={LEASE_NAME}")
    except Forbidden:
        unseen = "whether the operator runs is not known: you may not read its Lease"
        return (OperatorLease(unseen=unseen),)
    return tuple(_lease(lease) for lease in listing.items)


def _lease(lease: Mapping[str, Any]) -> OperatorLease:
    spec = lease.get("spec") or {}
    return OperatorLease(
        namespace=lease["metadata"]["namespace"],
        holder=spec.get("holderIdentity") or "",
        renewed_at=moment(spec.get("renewTime")),
        duration_seconds=float(spec.get("leaseDurationSeconds") or 15),
    )
