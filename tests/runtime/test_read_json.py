"""What is read of a large status is what plain JSON says, in less memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from kairos_operator.api.objects import parse_node_op
from kairos_operator.api.status import NodeStatus
from kairos_operator.runtime.client import Modified
from kairos_operator.runtime.read_json import LARGE_BYTES, read_json
from kairos_operator.runtime.watch_lines import parse_event

TIME = "2026-11-28T20:00:00Z"
DONE = {"phase": "Completed", "step": "Done", "outcome": "Completed", "lastUpdated": TIME}
FLYING = {"phase": "Running", "step": "Job", "bootID": "a", "startedAt": TIME}
NODES = 1000


def _entries(nodes: int = NODES) -> dict[str, Any]:
    names = ["step", "phase", *(f"nöde-{number:04}" for number in range(nodes))]
    return {name: {**(FLYING if name.endswith("7") else DONE), "message": f'"{name}"'} for name in names}


def _object(nodes: int = NODES) -> dict[str, Any]:
    sly = {"note": json.dumps({"nodeStatuses": {"n": DONE}}), "nodeStatuses": "x", **DONE}
    managed = [{"fieldsV1": {"f:status": {"f:nodeStatuses": {}}}}]
    return {
        "apiVersion": "operator.kairos.io/v1alpha1",
        "kind": "NodeOp",
        "metadata": {"annotations": sly, "managedFields": managed, "name": "op", "resourceVersion": "7"},
        "spec": {"command": ["true"], "nodeSelector": {"matchLabels": dict(DONE, nodeStatuses="{")}},
        "status": {"message": "m", "nodeStatuses": _entries(nodes), "phase": "Running"},
    }


def _text(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def test_an_object_is_the_same_but_for_its_entries_which_are_values() -> None:
    found = read_json(_text(_object()))
    entries = found["status"].pop("nodeStatuses")
    wanted = _object()
    del wanted["status"]["nodeStatuses"]
    assert found == wanted
    assert {name: one.render() for name, one in entries.items()} == _entries()


def test_the_operation_is_the_same() -> None:
    wanted = parse_node_op({**_object(), "spec": {"command": ["true"]}})
    assert parse_node_op({**read_json(_text(_object())), "spec": {"command": ["true"]}}) == wanted


def test_an_event_of_a_watch_too() -> None:
    event = parse_event(_text({"type": "MODIFIED", "object": _object()}), read_json)
    assert isinstance(event, Modified)
    assert isinstance(event.obj["status"]["nodeStatuses"]["step"], NodeStatus)
    assert event.obj["metadata"] == _object()["metadata"]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(_object(10), id="a small one"),
        pytest.param({"items": [_object(), _object()]}, id="a list"),
        pytest.param({"nodeStatuses": _entries()}, id="no status"),
        pytest.param({"spec": {"nodeStatuses": _entries()}, "status": {}}, id="in the spec"),
        pytest.param({"spec": {"nodeStatuses": _entries()}, "status": {"nodeStatuses": None}}, id="in both"),
        pytest.param([{"nodeStatuses": _entries()}], id="no object"),
        pytest.param({"object": [{"nodeStatuses": _entries()}], "type": "ADDED"}, id="no object in an event"),
        pytest.param({"message": "x" * LARGE_BYTES}, id="something else"),
    ],
)
def test_anything_else_is_plain_json(told: object) -> None:
    assert json.dumps(read_json(_text(told))) == json.dumps(told)


def test_a_list_is_not_decoded_twice() -> None:
    """A new leader reads such lists, where its memory is at its peak anyway."""
    text = _text(
        {"apiVersion": "operator.kairos.io/v1alpha1", "items": [_object()] * 3, "kind": "NodeOpList"}
    )
    peaks = []
    for read in (json.loads, read_json):
        tracemalloc.start()
        read(text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_what_is_wrong_with_an_entry_is_told_by_who_reads_the_status() -> None:
    told = _object()
    told["status"]["nodeStatuses"]["step"] = {**DONE, "phase": "Lost"}
    assert read_json(_text(told))["status"]["nodeStatuses"]["step"] == {**DONE, "phase": "Lost"}


@pytest.mark.parametrize(
    "text", [b"", b'{"status":{"nodeStatuses":{', b'"nodeStatuses":{' + b" " * LARGE_BYTES, b"\xff"]
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_json(text + b" " * LARGE_BYTES)


def test_an_entry_that_was_read_before_takes_no_memory_again() -> None:
    text = _text({"status": {"nodeStatuses": _entries(4000)}})
    kept = read_json(text)
    assert _peak(read_json, text) * 2 < _peak(json.loads, text)
    assert kept


def _peak(read: Callable[[bytes], Any], text: bytes) -> int:
    tracemalloc.start()
    try:
        read(text)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
