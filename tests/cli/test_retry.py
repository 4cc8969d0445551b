"""`retry`: a new run for the nodes that are left, and for no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, NODES
from kairos_operator.cli.exits import Exit
from tests.cli.site import TARGET, Site
from tests.cli.test_commands import ended


async def test_retry_is_for_the_failed_and_the_untouched(cluster: Site) -> None:
    for name in ("w-1", "w-2", "w-3"):
        cluster.node(name)
    cluster.store.patch(NODES, "w-2", {"spec": {"unschedulable": True}})
    left = {"w-1": "Completed", "w-2": "Failed", "w-3": "", "w-4": "", "w-5": "Skipped"}
    cluster.operation(NODE_OP_UPGRADES, "u", ended("Failed", left), concurrency=1)
    result = await cluster.call("retry", "u", "-o", "json")
    made = json.loads(result.stdout)
    assert made["metadata"]["name"].startswith("u-retry-")
    assert made["spec"]["nodeSelector"]["matchExpressions"][0]["values"] == ["w-2", "w-3"]
    assert (made["spec"]["image"], made["spec"]["concurrency"]) == (TARGET, 1)
    assert "status" not in made
    assert "no longer there, so left out: w-4" in result.stderr
    assert "kubectl uncordon w-2" in result.stderr


async def test_retry_of_too_many_nodes_leaves_out_those_that_joined_since(cluster: Site) -> None:
    nodes = {f"w-{number:03}": "" for number in range(300)} | {"w-000": "Completed", "w-001": "Failed"}
    for name in (*nodes, "new-1", "new-2"):
        cluster.node(name)
    cluster.operation(NODE_OPS, "op", ended("Failed", nodes))
    result = await cluster.call("retry", "op", "--dry-run", "client", "-o", "json")
    [requirement] = json.loads(result.stdout)["spec"]["nodeSelector"]["matchExpressions"]
    assert (requirement["operator"], requirement["values"]) == ("NotIn", ["new-1", "new-2", "w-000"])


async def test_retry_of_too_many_nodes_leaves_out_those_that_are_done(cluster: Site) -> None:
    nodes = {f"w-{number:03}": "" for number in range(300)} | {"w-000": "Completed", "w-001": "Failed"}
    for name in nodes:
        cluster.node(name)
    cluster.operation(NODE_OPS, "op", ended("Failed", nodes), nodeSelector={"matchLabels": {"a": "b"}})
    result = await cluster.call("retry", "op", "--dry-run", "client", "-o", "json")
    assert json.loads(result.stdout)["spec"]["nodeSelector"] == {
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["w-000"]}],
    }


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ({"phase": "Running"}, Exit.UNFINISHED, "has not ended"),
        (ended("Completed", {"w-1": "Completed"}), Exit.REFUSED, "nothing left"),
        (ended("Failed", {"gone": "Failed"}), Exit.REFUSED, "nothing to retry"),
    ],
)
async def test_retry_where_there_is_nothing_to_retry(
    cluster: Site, status: dict[str, Any], code: Exit, says: str
) -> None:
    cluster.operation(NODE_OPS, "op", status)
    result = await cluster.call("retry", "op")
    assert result.exit_code == code
    assert says in result.stderr
    assert cluster.names() == {"op"}
