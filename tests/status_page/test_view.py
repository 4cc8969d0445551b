"""What the page is told: everything once, then only what changed; nothing of a command."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kairos_operator.status_page.app import Board
from kairos_operator.status_page.view import PAST_OPERATIONS, OperationView, differences
from tests.status_page.cluster import Cluster, busy, done, node


def told(before: dict[str, OperationView], after: dict[str, OperationView]) -> list[dict[str, Any]]:
    return list(differences(before, after))


def test_only_what_changed_is_told() -> None:
    cluster = Cluster()
    busy(cluster)
    board = Board(cluster.caches)
    first = board.current()
    assert len(told({}, first)) == 3
    assert told(first, board.current()) == []

    nodes = {f"n{number}": node("Waiting", "Pending") for number in range(100)}
    cluster.upgrade("big", "Running", "0 of 100", nodes)
    second = board.current()
    (new,) = told(first, second)
    assert len(new["nodes"]) == 100
    cluster.upgrade("big", "Running", "1 of 100", nodes | {"n7": done()})
    (change,) = told(second, board.current())
    assert list(change["nodes"]) == ["n7"]
    assert change["facts"]["message"] == "1 of 100"


def test_what_is_gone_is_told_and_an_operation_of_the_same_name_is_another() -> None:
    cluster = Cluster()
    cluster.upgrade("u", "Running", "m", {"a": done(), "b": done()})
    board = Board(cluster.caches)
    first = board.current()
    cluster.delete_upgrade("u")
    empty = board.current()
    (gone,) = told(first, empty)
    assert gone == {"key": "NodeOpUpgrade/kairos-operations/u", "gone": True}
    cluster.upgrade("u", "Running", "m", {"b": done()}, metadata={"uid": "another"})
    (change,) = told(first, board.current())
    assert change["removed"] == ["a"]


def test_the_node_op_of_an_upgrade_is_not_shown_and_no_command_is() -> None:
    cluster = Cluster()
    owner = {"kind": "NodeOpUpgrade", "name": "u", "uid": "u", "controller": True, "apiVersion": "x"}
    cluster.node_op("u", "Running", "m", {}, metadata={"ownerReferences": [owner]})
    cluster.node_op("own", "Running", "m", {})
    found = Board(cluster.caches).current()
    assert list(found) == ["NodeOp/kairos-operations/own"]
    assert "secret" not in str(told({}, found))


def test_of_the_past_the_latest_are_shown_and_of_the_present_all() -> None:
    cluster = Cluster()
    for number in range(PAST_OPERATIONS + 20):
        cluster.upgrade(f"past-{number}", "Completed", "m", {}, minutes=1000 - number)
        cluster.upgrade(f"now-{number}", "Running", "m", {}, minutes=5000 + number)
    found = Board(cluster.caches).current().values()
    past = [one.facts["name"] for one in found if one.final]
    assert past == [f"past-{number}" for number in range(PAST_OPERATIONS + 19, 19, -1)]
    assert len([one for one in found if not one.final]) == PAST_OPERATIONS + 20
    assert all(one.order.utcoffset() == timedelta(0) for one in found)
