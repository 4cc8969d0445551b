"""What a recording says of the operator's own part in an upgrade."""

from __future__ import annotations

import pytest

from tests.machines.recording import Line
from tests.machines.timeline import table, timeline


def turn(node: str, start: float, *, evicts: bool = False) -> list[Line]:
    """What is seen of one node that is upgraded from `start` on, in which the operator is waited for 1.0 s."""
    stem = f"up-{node}"
    seen = [
        (0.0, f"{stem}-preflight-x", "pod", f"Pending on {node}"),
        (2.0, f"{stem}-preflight-x", "pod", f"Succeeded on {node}"),
        (2.1, f"{stem}-preflight-x", "pod", f"Succeeded, ending on {node}"),
        (2.1, node, "cordoned", "true"),  # 0.1
        (2.2, f"{stem}-preflight-x", "pod", f"gone from {node}"),
        *([(5.1, "web-1", "pod", f"Succeeded, ending on {node}")] if evicts else []),
        *([(5.3, "web-1", "pod", f"gone from {node}")] if evicts else []),
        (5.5 if evicts else 2.5, f"{stem}-y", "job", "running"),  # 0.4 since the last pod had ended
        (8.0, f"{stem}-y", "job", "Complete"),
        (9.0, node, "down", "init ended with 129"),
        (11.0, node, "boot", "2"),
        (11.5, node, "ready", "false"),
        (11.5, node, "bootID", "2"),
        (12.0, node, "ready", "true"),
        (12.3, f"{stem}-postflight-z", "pod", f"Pending on {node}"),  # 0.3
        (14.0, f"{stem}-postflight-z", "pod", f"Succeeded on {node}"),
        (14.2, node, "cordoned", "false"),  # 0.2
    ]
    return [Line(start + at, who, what, detail) for at, who, what, detail in seen]


def recorded(*turns: list[Line], end: float) -> list[Line]:
    """An upgrade that was created after ten seconds."""
    before = [
        Line(1.0, "a", "cordoned", "false"),
        Line(1.0, "a", "ready", "true"),
        Line(1.0, "a", "bootID", "1"),
    ]
    lines = [*before, Line(10.0, "test", "create", "up"), *sum(turns, list[Line]())]
    lines += [Line(end, "up", "phase", "Completed"), Line(end + 1, "a", "cordoned", "true")]
    return sorted(lines, key=lambda line: line.at)


@pytest.mark.parametrize("evicts", [False, True])
def test_one_node(evicts: bool) -> None:
    found = timeline(recorded(turn("a", 10.5, evicts=evicts), end=25.0), "up", ["a"])
    assert found.makespan == pytest.approx(14.7)
    expected = [("check", 0.5), ("cordon", 0.1), ("Job", 0.4), ("verification", 0.3), ("uncordoning", 0.2)]
    assert [(gap.before, pytest.approx(gap.seconds)) for gap in found.gaps()] == expected
    assert found.latency == pytest.approx(1.5)


def test_of_two_lines_of_nodes_the_longer_one_counts() -> None:
    quick, slow, last = turn("a", 10.5), turn("b", 13.5), turn("c", 28.0)
    found = timeline(recorded(quick, slow, last, end=43.0), "up", ["a", "b", "c"])
    assert [one.node for one in found.turns] == ["a", "b", "c"]
    assert [one.node for one in found.critical()] == ["b", "c"], "c got the slot that b gave back"
    assert found.makespan == pytest.approx(32.2)
    assert found.latency == pytest.approx(3.5 + 1.0 + 0.3 + 1.0)
    text = "\n".join(table(found))
    assert "makespan 32.2 s; the operator was waited for 5.8 s of it (18.0%)" in text
    assert "b, c" in text


def test_a_node_that_was_not_upgraded_has_no_timeline() -> None:
    with pytest.raises(LookupError):
        timeline(recorded(turn("a", 10.5), end=25.0), "up", ["a", "b"])
