"""Whether a run ended as it had to: every promise that shows through the API, one sentence for each broken one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.sandbox.demo import roster
from tests.sandbox.demo.board import Board, Machine
from tests.sandbox.demo.options import Options


def faults(board: Board, options: Options) -> list[str]:
    """What is not as it had to be; nothing where all is well."""
    if board.upgrade is None:
        return ["the upgrade was never seen"]
    return [
        *_of_the_whole(board, options),
        *(text for name in board.order for text in _of_node(board, options, name)),
    ]


def _of_the_whole(board: Board, options: Options) -> Iterator[str]:
    assert board.upgrade is not None
    wanted = "Failed" if options.fail else "Completed"
    if board.upgrade.phase != wanted:
        yield f"the upgrade is {board.upgrade.phase or 'without a phase'} instead of {wanted}"
    if board.early_ends:
        yield "the upgrade was over and then went on"
    if board.started != board.order[: len(board.started)]:
        yield f"the nodes were started in the order {', '.join(board.started)}"
    if board.late_starts:
        yield f"{', '.join(board.late_starts)} started although a node had failed"
    if board.most_in_flight > (options.concurrency or options.nodes):
        yield f"{board.most_in_flight} nodes were in flight at once, with concurrency {options.concurrency}"
    if set(board.upgrade.nodes) != set(board.order):
        yield f"the upgrade speaks of {', '.join(sorted(board.upgrade.nodes))}"


def _of_node(board: Board, options: Options, name: str) -> Iterator[str]:
    now, before = board.machines.get(name), board.before.get(name)
    if now is None or before is None:
        yield f"{name} is not there"
        return
    outcome = board.progress(name).outcome
    wanted = _wanted_outcome(board, options, name)
    if outcome != wanted:
        yield f"{name} ended as {outcome or 'not started'} instead of {wanted or 'not started'}"
    if wanted in ("", "Skipped"):
        yield from _untouched(board, now, before)
    else:
        yield from _worked_on(now, before, failed=wanted == "Failed")


def _wanted_outcome(board: Board, options: Options, name: str) -> str:
    if options.fail and _after_the_failure(board, options, name):
        return ""
    if name == options.fail:
        return "Failed"
    return "Skipped" if name == roster.up_to_date(options.nodes) else "Completed"


def _after_the_failure(board: Board, options: Options, name: str) -> bool:
    """With several at once, those that were started beside the failing node are done too; no later one is."""
    if options.concurrency == 1:
        return board.order.index(name) > board.order.index(options.fail)
    return name not in board.started and options.fail in board.started


def _untouched(board: Board, now: Machine, before: Machine) -> Iterator[str]:
    if now != before:
        yield f"{now.name} was to be left alone and has changed: {before} is now {now}"
    if board.progress(now.name).job:
        yield f"{now.name} was to be left alone and has Job {board.progress(now.name).job}"


def _worked_on(now: Machine, before: Machine, *, failed: bool) -> Iterator[str]:
    runs = roster.OLD.triple if failed else roster.target().triple
    if now.runs != runs:
        yield f"{now.name} runs {now.runs} instead of {runs}"
    if now.boot_id == before.boot_id:
        yield f"{now.name} was not rebooted"
    if now.cordoned != failed:
        yield f"{now.name} is {'cordoned' if now.cordoned else 'not cordoned any more'}"
    if not now.ready:
        yield f"{now.name} is not Ready"
