"""The demo's verdict notices every way in which a run may end badly: a demo that cannot fail shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.sandbox.demo import roster
from tests.sandbox.demo.board import Board, Machine, Progress, Upgrade
from tests.sandbox.demo.options import Options
from tests.sandbox.demo.verdict import faults

OLD, NEW = roster.OLD.triple, roster.target().triple
GOOD, FAILING = Options(nodes=4), Options(nodes=4, fail="worker-1")


def finished(options: Options) -> Board:
    """A board after a run that ended as it had to."""
    board = Board(roster.names(options.nodes))
    board.before = {name: _machine(name, options) for name in board.order}
    board.machines = dict(board.before)
    entries = {}
    for name in board.order:
        outcome = _outcome(name, options, board.order)
        step = "Done" if outcome else "Waiting"
        entries[name] = Progress(step=step, outcome=outcome)
        if outcome in ("Completed", "Failed"):
            failed = outcome == "Failed"
            runs = OLD if failed else NEW
            board.machines[name] = replace(board.before[name], runs=runs, boot_id="2", cordoned=failed)
    board.most_in_flight = options.concurrency
    board.learn(Upgrade("up", "Failed" if options.fail else "Completed", "", entries, {}))
    return board


def _machine(name: str, options: Options) -> Machine:
    runs = NEW if name == roster.up_to_date(options.nodes) else OLD
    return Machine(name, name == roster.CONTROL_PLANE, ready=True, cordoned=False, runs=runs, boot_id="1")


def _outcome(name: str, options: Options, order: list[str]) -> str:
    if options.fail and order.index(name) > order.index(options.fail):
        return ""
    if name == options.fail:
        return "Failed"
    return "Skipped" if name == roster.up_to_date(options.nodes) else "Completed"


def _node(name: str, **changes: object) -> Callable[[Board], None]:
    def spoil(board: Board) -> None:
        board.machines[name] = replace(board.machines[name], **changes)  # type: ignore[arg-type]

    return spoil


def _entry(name: str, **changes: object) -> Callable[[Board], None]:
    def spoil(board: Board) -> None:
        assert board.upgrade is not None
        nodes = dict(board.upgrade.nodes)
        nodes[name] = replace(nodes[name], **changes)  # type: ignore[arg-type]
        board.upgrade = replace(board.upgrade, nodes=nodes)

    return spoil


def _phase(phase: str) -> Callable[[Board], None]:
    def spoil(board: Board) -> None:
        assert board.upgrade is not None
        board.learn(replace(board.upgrade, phase=phase))

    return spoil


def _restarted(board: Board) -> None:
    assert board.upgrade is not None
    final = board.upgrade
    board.learn(replace(final, phase="Running"))
    board.learn(final)


def _out_of_order(board: Board) -> None:
    board.started = ["worker-1", "cp-1"]


def _started_late(board: Board) -> None:
    _entry("worker-3", step="Claim")(board)
    assert board.upgrade is not None
    board.learn(board.upgrade)


def _crowded(board: Board) -> None:
    board.most_in_flight = 2


@pytest.mark.parametrize("options", [GOOD, FAILING], ids=["good", "failing"])
def test_a_run_that_ended_as_it_had_to_has_no_fault(options: Options) -> None:
    assert faults(finished(options), options) == []


@pytest.mark.parametrize(
    ("options", "spoil", "words"),
    [
        (GOOD, _phase("Failed"), "the upgrade is Failed instead of Completed"),
        (GOOD, _restarted, "was over and then went on"),
        (GOOD, _out_of_order, "started in the order worker-1, cp-1"),
        (GOOD, _crowded, "2 nodes were in flight at once"),
        (GOOD, _node("cp-1", runs=OLD), f"cp-1 runs {OLD} instead of {NEW}"),
        (GOOD, _node("cp-1", boot_id="1"), "cp-1 was not rebooted"),
        (GOOD, _node("cp-1", cordoned=True), "cp-1 is cordoned"),
        (GOOD, _node("cp-1", ready=False), "cp-1 is not Ready"),
        (GOOD, _node("worker-2", boot_id="2"), "worker-2 was to be left alone and has changed"),
        (
            GOOD,
            _entry("worker-2", job="up-worker-2"),
            "worker-2 was to be left alone and has Job up-worker-2",
        ),
        (GOOD, _entry("worker-2", outcome="Completed"), "worker-2 ended as Completed instead of Skipped"),
        (GOOD, _entry("worker-3", outcome=""), "worker-3 ended as not started instead of Completed"),
        (GOOD, lambda board: board.machines.pop("worker-3"), "worker-3 is not there"),
        (FAILING, _phase("Completed"), "the upgrade is Completed instead of Failed"),
        (FAILING, _entry("worker-1", outcome="Completed"), "worker-1 ended as Completed instead of Failed"),
        (FAILING, _started_late, "worker-3 started although a node had failed"),
        (FAILING, _node("worker-1", cordoned=False), "worker-1 is not cordoned any more"),
        (FAILING, _node("worker-3", cordoned=True), "worker-3 was to be left alone and has changed"),
        (
            FAILING,
            _entry("worker-3", outcome="Completed"),
            "worker-3 ended as Completed instead of not started",
        ),
    ],
)
def test_what_is_not_as_it_had_to_be_is_named(
    options: Options, spoil: Callable[[Board], None], words: str
) -> None:
    board = finished(options)
    spoil(board)
    assert any(words in fault for fault in faults(board, options)), faults(board, options)


def test_with_several_at_once_what_ran_beside_the_failing_node_is_done_too() -> None:
    options = Options(nodes=4, fail="cp-1", concurrency=2)
    board = finished(replace(options, fail="worker-1"))
    assert any("cp-1" in fault for fault in faults(board, options))


def test_an_upgrade_that_was_never_seen_is_a_fault() -> None:
    assert faults(Board(["cp-1"]), GOOD) == ["the upgrade was never seen"]
