"""Durations, selectors, estimates and boards: what users type and what they read."""

from __future__ import annotations

import pytest
from rich.console import Console

from kairos_operator.api.resources import NODE_OPS
from kairos_operator.api.selectors import LabelSelector
from kairos_operator.cli.board import MANY, board, counts_text, rest_text
from kairos_operator.cli.durations import number_of, parse_seconds, short
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.screen import Grid, Screen
from kairos_operator.cli.selector import parse_selector
from kairos_operator.cli.status import news, printed
from tests.cli.values import NOW, ago, done, flying, operation, waiting


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("1h30m", 5400), ("30d", 2592000), ("2w", 1209600), ("0s", 0)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "1h 2m", "-5s", "1.5h", "1y"])
def test_what_is_no_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(Trouble) as caught:
        parse_seconds(text)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-3, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (3599, "59m"), (7200, "2h"),
     (7500, "2h5m"), (90000, "25h"), (172800, "2d"), (864000, "10d")],
)  # fmt: skip
def test_durations_are_written_as_kubectl_does(seconds: float, text: str) -> None:
    assert short(seconds) == text


def test_one_is_no_plural() -> None:
    assert [number_of("node", count) for count in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert number_of("batch", 2, "batches") == "2 batches"
    assert printed(board(operation({"w-1": waiting()}), NOW))[1] == "Running: 1 node: 1 waiting"


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {}, True),
        ("a in (b, c),d", {"a": "c", "d": ""}, True),
        ("a in (b,c)", {"a": "d"}, False),
        ("a notin (b)", {"a": "b"}, False),
        ("!a", {"a": ""}, False),
        ("kairos.io/managed=true,!gpu", {"kairos.io/managed": "true"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_selectors_mean_what_kubectl_means(text: str, labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.model_validate(parse_selector(text)).matches(labels) is matches


@pytest.mark.parametrize("text", ["a=b=c", "a in b", "=b", "a=b,,c", "a=1,a=2", "a in (b"])
def test_what_is_no_selector_is_a_usage_error(text: str) -> None:
    with pytest.raises(Trouble) as caught:
        parse_selector(text)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("nodes", "concurrency", "text"),
    [
        ({"a": waiting(), "b": flying("Job")}, 1, "no estimate: no node has finished its work yet"),
        (
            {"a": done(5, outcome="Skipped"), "b": waiting()},
            1,
            "no estimate: no node has finished its work yet",
        ),
        (
            {"a": done(5, outcome="Failed"), "b": waiting()},
            1,
            "no estimate: no node has finished its work yet",
        ),
        (
            {"a": done(240), "b": done(360), "c": waiting(), "d": waiting()},
            1,
            "8 min to 12 min left (from 2 nodes that took 4 min to 6 min, 1 at a time)",
        ),
        (
            {"a": done(3600), **{f"w-{number}": waiting() for number in range(5)}},
            2,
            "about 3 h left (from 1 node that took 1 h, 2 at a time; one node says little)",
        ),
        ({"a": done(300), "b": flying("Job", 120)}, 1, "about 3 min left (from 1 node that took 5 min)"),
        (
            {"a": done(300), "b": flying("Job", 120), "c": waiting(), "d": waiting()},
            2,
            "about 8 min left (from 1 node that took 5 min, 2 at a time; one node says little)",
        ),
        (
            {"a": done(60), "b": flying("Job", 400)},
            0,
            "no estimate: from 1 node that took 60 s; 1 in flight for longer than that,"
            " and nobody knows how much longer",
        ),
        (
            {"a": done(60), "b": flying("Job", 400), "c": waiting()},
            1,
            "at least 60 s left (from 1 node that took 60 s, 1 at a time; 1 in flight for longer than that,"
            " and nobody knows how much longer)",
        ),
    ],
)
def test_the_estimate_says_what_it_rests_on(nodes: dict[str, object], concurrency: int, text: str) -> None:
    assert rest_text(board(operation(nodes, concurrency=concurrency), NOW)) == text


def test_nobody_estimates_what_stands_still() -> None:
    nodes = {"a": done(60), "b": done(60, outcome="Failed"), "c": waiting()}
    paused = operation(nodes, metadata={"annotations": {"operator.kairos.io/paused": "true"}})
    assert "paused" in rest_text(board(paused, NOW))
    assert board(paused, NOW).phase == "Paused (Running)"
    assert "stopOnFailure" in rest_text(board(operation(nodes, stopOnFailure=True), NOW))
    assert rest_text(board(operation(nodes, "Failed"), NOW)) == ""


def test_each_node_has_its_row_with_the_time_in_its_step() -> None:
    nodes = {
        "z": flying("Drain", 75, began=90, message="Draining"),
        "b": waiting(),
        "c": done(300, message="ok"),
    }
    (grid,) = board(operation(nodes), NOW).grids
    assert list(grid.rows) == [
        ("c", "Completed", "", "5m", "ok"),
        ("z", "Running", "Drain", "75s", "Draining"),
        ("b", "Pending", "Waiting", "", ""),
    ]


def test_many_nodes_are_grouped_and_only_the_open_ones_have_rows() -> None:
    nodes = {f"n-{number:04}": waiting() for number in range(990)}
    nodes |= {f"d-{number}": done(60) for number in range(8)}
    nodes |= {
        "bad": done(60, outcome="Failed", message="no"),
        "fly": flying("Drain", 75, message="Draining: x"),
    }
    groups, rows = board(operation(nodes), NOW).grids
    assert list(groups.rows) == [
        ("Failed", "", "1", "", ""),
        ("Running", "Drain", "1", "75s", "fly: Draining: x"),
        ("Pending", "Waiting", "990", "", ""),
        ("Completed", "", "8", "", ""),
    ]
    assert [row[0] for row in rows.rows] == ["bad", "fly"]
    (every,) = board(operation(nodes), NOW, each_node=True).grids
    assert len(every.rows) == 1000


def test_even_the_open_nodes_are_bounded_with_the_failed_ones_first() -> None:
    nodes = {f"f-{number:03}": flying("Job") for number in range(500)} | {"zz": done(1, outcome="Failed")}
    _, rows = board(operation(nodes), NOW).grids
    assert len(rows.rows) == MANY
    assert "zz" in [row[0] for row in rows.rows]


def test_a_blocked_drain_shows() -> None:
    blocked = {
        "type": "DrainBlocked",
        "status": "True",
        "reason": "EvictionRefused",
        "message": "shop/web on w-1",
    }
    conditions = [{**blocked, "lastTransitionTime": ago(3)}]
    lines = printed(board(operation({"w-1": flying("Drain")}, status={"conditions": conditions}), NOW))
    assert "Drain blocked: shop/web on w-1" in lines
    assert "no estimate: a drain is blocked, and goes on when it is allowed to" in lines


def test_an_operation_that_nobody_has_started_says_whom_to_ask() -> None:
    assert any("kubectl kairos why" in line for line in board(operation(phase=None), NOW).lines)


def test_counts_leave_out_the_zeros() -> None:
    nodes = {"a": done(1), "b": done(1, outcome="Skipped"), "c": waiting()}
    assert counts_text(board(operation(nodes), NOW).counts) == "3 nodes: 1 done, 1 skipped, 1 waiting"


def test_news_are_told_once() -> None:
    said: dict[str, str] = {}
    first = operation({"a": waiting(), "b": flying("Job", message="running")}, resource=NODE_OPS)
    assert news(first, said) == ["b Running/Job: running", "Running"]
    assert news(first, said) == []
    second = operation({"a": waiting(), "b": done(3, message="ok")}, "Completed", resource=NODE_OPS)
    assert news(second, said) == ["b Completed: ok", "Completed"]


def test_what_others_wrote_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = "a\x1b]52;c;x\x07\x1b[2J\x9b\rb\tc"
    for screen in (Screen(), Screen(Console(force_terminal=True, color_system=None))):
        screen.show(said, Grid(("A",), [(said,)]))
        screen.warn(said)
    told = capsys.readouterr()
    assert not set("\x1b\x07\x9b\r") & set(told.out + told.err)
    assert told.out.count("a\ufffd]52;c;x") == 4
    assert "a\ufffd]52;c;x" in told.err


def test_plain_columns_are_aligned_and_uncut() -> None:
    grid = Grid(("A", "B"), [("long one", "x" * 300), ("s", "y")])
    lines = grid.plain().splitlines()
    assert lines[0] == "A          B"
    assert lines[1] == "long one   " + "x" * 300
    assert lines[2] == "s          y"
