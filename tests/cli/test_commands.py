"""The commands against a cluster without an operator: what they read, make and delete, and how they end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from kairos_operator.api.base import timestamp
from kairos_operator.api.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    LEASES,
    NODE_OP_UPGRADES,
    NODE_OPS,
)
from kairos_operator.cli import inquiry
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.status import now
from kairos_operator.settings import LEASE_NAME
from tests.cli.site import TARGET, Site

OLD = "2026-01-01T00:00:00Z"


def ended(phase: str, nodes: dict[str, str] | None = None, when: str = OLD) -> dict[str, Any]:
    """The status of an operation that ended; `nodes` says how on each, "" where it was not reached."""
    records = {
        name: {"phase": "Failed" if how == "Failed" else "Completed", "step": "Done", "outcome": how}
        if how
        else {"phase": "Pending", "step": "Waiting"}
        for name, how in (nodes or {}).items()
    }
    return {
        "phase": phase,
        "nodeStatuses": records,
        "startedAt": OLD,
        "completedAt": when,
        "message": f"it {phase}",
    }


async def test_a_cluster_that_is_away_is_told_apart(cluster: Site) -> None:
    await cluster.server.stop()
    result = await cluster.call("status")
    assert result.exit_code == Exit.UNREACHABLE
    assert "--context" in result.stderr


@pytest.mark.parametrize("text", ["a: [", "", "[]", "kind: Config"])
async def test_a_kubeconfig_that_is_none_is_one_sentence_too(cluster: Site, text: str) -> None:
    cluster.kubeconfig.write_text(text)
    result = await cluster.call("status")
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr.startswith("error: cannot log in to a cluster: ")
    assert result.stderr.count("\n") == 1


async def test_a_login_that_is_refused_is_told_apart(cluster: Site) -> None:
    cluster.kubeconfig.write_text(cluster.kubeconfig.read_text().replace("token: ", "token: x"))
    result = await cluster.call("history")
    assert result.exit_code == Exit.UNREACHABLE
    assert "log in again" in result.stderr


async def test_a_cluster_without_the_operator_is_told_apart(cluster: Site) -> None:
    for resource in (NODE_OPS, NODE_OP_UPGRADES):
        cluster.store.delete(CUSTOM_RESOURCE_DEFINITIONS, f"{resource.plural}.{resource.group}")
    for arguments in (["status"], ["status", "x"], ["upgrade", TARGET]):
        result = await cluster.call(*arguments)
        assert result.exit_code == Exit.REFUSED
        assert "install the operator" in result.stderr, result.output


@pytest.mark.parametrize(
    ("status", "code"),
    [({"phase": "Running"}, 3), (None, 3), (ended("Completed"), 0), (ended("Failed", {"w": "Failed"}), 1)],
)
async def test_status_tells_scripts_how_it_stands(
    cluster: Site, status: dict[str, Any] | None, code: int
) -> None:
    cluster.operation(NODE_OPS, "op", status)
    assert (await cluster.call("status", "op")).exit_code == code
    assert (await cluster.call("status", "op", "-o", "name")).exit_code == code


async def test_a_name_means_the_upgrade_first(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "both")
    cluster.operation(NODE_OP_UPGRADES, "both")
    cluster.operation(NODE_OPS, "alone")
    title = "operator.kairos.io"
    for written, meant in [
        ("both", f"nodeopupgrade.{title}/both"),
        ("nodeop/both", f"nodeop.{title}/both"),
        ("nop/both", f"nodeop.{title}/both"),
        ("nou/both", f"nodeopupgrade.{title}/both"),
        (f"nodeop.{title}/both", f"nodeop.{title}/both"),
        ("alone", f"nodeop.{title}/alone"),
    ]:
        assert (await cluster.call("status", written, "-o", "name")).stdout.strip() == meant


async def test_a_watch_ends_at_its_timeout(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "op", {"phase": "Running", "message": "working"})
    result = await cluster.call("status", "op", "--watch", "--timeout", "1s")
    assert result.exit_code == Exit.UNFINISHED
    assert "working" in result.stdout
    assert "goes on without you" in result.stderr


async def test_status_lists_what_is_under_way_and_history_all(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "old", ended("Completed", {"w-1": "Completed", "w-2": "Skipped"}))
    cluster.operation(NODE_OP_UPGRADES, "now", {"phase": "Running", "startedAt": timestamp(now())})
    upgrade = cluster.store.get(NODE_OP_UPGRADES, "now", "default")["metadata"]
    owner = {
        "apiVersion": NODE_OPS.api_version,
        "kind": "NodeOpUpgrade",
        "name": "now",
        "uid": upgrade["uid"],
        "controller": True,
    }
    cluster.create(NODE_OPS, {"apiVersion": NODE_OPS.api_version, "kind": "NodeOp", "spec": {"command": ["true"]},
                              "metadata": {"name": "now", "ownerReferences": [owner]}})  # fmt: skip
    status, history = await cluster.call("status"), await cluster.call("history")
    assert [line.split()[1] for line in status.stdout.splitlines()[1:]] == ["nodeopupgrade/now"]
    assert [line.split()[1] for line in history.stdout.splitlines()[1:]] == [
        "nodeopupgrade/now",
        "nodeop/old",
    ]
    assert history.stdout.splitlines()[2].split()[3:6] == ["2/2", "1", "0"]  # done, of which skipped, failed
    listed = json.loads((await cluster.call("history", "-A", "-o", "json")).stdout)
    assert [one["kind"] for one in listed["items"]] == ["NodeOpUpgrade", "NodeOp"]
    assert (await cluster.call("history", "--limit", "1", "-o", "name")).stdout.count("\n") == 1
    assert "No operation is under way" in (await cluster.call("status", "-n", "kube-system")).stdout


@pytest.mark.parametrize(
    ("renewed", "says"), [(True, "about to start"), (False, "The operator is not running")]
)
async def test_why_believes_a_lease_that_moves_and_not_this_machines_clock(
    cluster: Site, monkeypatch: pytest.MonkeyPatch, renewed: bool, says: str
) -> None:
    monkeypatch.setattr(inquiry, "RENEWAL_SECONDS", 2.0)
    cluster.operation(NODE_OPS, "op")
    by_another_clock = timestamp(now() - timedelta(minutes=10))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE_NAME, "namespace": "default"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": by_another_clock},
    }
    cluster.create(LEASES, lease)
    asked = asyncio.ensure_future(cluster.call("why", "op"))
    while renewed and not asked.done():
        later = timestamp(now() - timedelta(minutes=10))
        cluster.store.patch(LEASES, LEASE_NAME, {"spec": {"renewTime": later}}, "default")
        await asyncio.sleep(0.2)
    assert says in (await asked).stdout


async def test_delete_takes_only_what_ended_long_ago(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "old", ended("Completed"))
    cluster.operation(NODE_OP_UPGRADES, "failed", ended("Failed", {"w": "Failed"}))
    cluster.operation(NODE_OPS, "recent", ended("Completed", when=timestamp(now())))
    cluster.operation(NODE_OPS, "running", {"phase": "Running"})
    asked = await cluster.call("delete", "--finished", "--older-than", "1d")
    assert asked.exit_code == Exit.USAGE
    assert "--yes" in asked.stderr
    shown = await cluster.call("delete", "--finished", "--older-than", "1d", "--dry-run", "-o", "name")
    assert len(shown.stdout.splitlines()) == 2
    assert len(cluster.names()) == 4
    assert (await cluster.call("delete", "--finished", "--older-than", "1d", "--yes")).exit_code == 0
    assert cluster.names() == {"recent", "running"}


async def test_a_plan_of_an_object_that_has_ended_is_none(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "op", ended("Completed"))
    result = await cluster.call("plan", "op")
    assert result.exit_code == Exit.REFUSED
    assert "never starts again" in result.stderr


async def test_a_plan_reads_a_manifest_from_standard_input_and_changes_nothing(cluster: Site) -> None:
    cluster.node("cp-1", control_plane=True)
    cluster.node("w-1")
    before = cluster.store.resource_version
    manifest = (await cluster.call("upgrade", TARGET, "-c", "1", "--dry-run", "client", "-o", "yaml")).stdout
    result = await cluster.call("plan", "-f", "-", "-o", "json", stdin=manifest)
    assert result.exit_code == 0, result.output
    assert [one["name"] for one in json.loads(result.stdout)["nodes"]] == ["cp-1", "w-1"]
    assert cluster.store.resource_version == before


async def test_a_plan_that_cannot_go_says_so_by_its_code(cluster: Site) -> None:
    result = await cluster.call(
        "plan",
        "-f",
        "-",
        stdin=(await cluster.call("run", "--dry-run=client", "-o", "yaml", "--", "df")).stdout,
    )
    assert result.exit_code == Exit.UNFINISHED
    assert "stops: no node matches" in result.stdout
