"""Operations that are over when the operator starts: what it has to ask for about them is nothing."""

from __future__ import annotations

import asyncio

from kairos_operator.api.resources import NODE_OPS
from kairos_operator.runtime.client import Client
from tests.bench.scenario import Scenario

NODES_EACH = 10
MOMENT = "2026-01-02T03:04:05Z"


async def create(client: Client, scenario: Scenario) -> None:
    """Make as many as the scenario asks for, as the operator leaves them."""
    await asyncio.gather(*(_one(client, number, scenario) for number in range(scenario.finished)))


async def _one(client: Client, number: int, scenario: Scenario) -> None:
    name, nodes = f"finished-{number:03}", [spec.name for spec in scenario.specs()[:NODES_EACH]]
    body = {
        "apiVersion": NODE_OPS.api_version,
        "kind": NODE_OPS.kind,
        "metadata": {"name": name},
        "spec": {"command": ["true"]},
    }
    await client.create(NODE_OPS, body, "default")
    record = {"phase": "Completed", "step": "Done", "outcome": "Completed", "rebootStatus": "not-requested"}
    status = {
        "phase": "Completed",
        "message": f"All {len(nodes)} nodes are done",
        "startedAt": MOMENT,
        "completedAt": MOMENT,
        "nodeStatuses": {node: {**record, "lastUpdated": MOMENT} for node in nodes},
    }
    await client.patch(NODE_OPS, name, {"status": status}, "default", subresource="status")
