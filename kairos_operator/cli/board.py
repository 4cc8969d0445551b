"""What `status` shows of one operation, as headings, rows and sentences. Pure.

Up to a screenful of nodes, one row each in the order of the rollout. Beyond it, nodes are grouped by where they are,
and only those in flight and those that failed have rows of their own, since these are what somebody looks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from kairos_operator.api.status import NodeStatus, Outcome, Phase, Step, Summary
from kairos_operator.cli.durations import number_of, short
from kairos_operator.cli.estimate import Estimate, estimate, sentence
from kairos_operator.cli.operations import Operation
from kairos_operator.cli.screen import Grid
from kairos_operator.core.status import summary

BLOCKED = "Drain blocked"
MANY = 40  # nodes, from which on they are grouped
NODE_HEADINGS = ("NODE", "PHASE", "STEP", "FOR", "MESSAGE")
_RANK = {Outcome.FAILED: 0, None: 1, Outcome.COMPLETED: 3, Outcome.SKIPPED: 4}


@dataclass(frozen=True, slots=True)
class Board:
    """One operation at one moment, ready to be drawn."""

    title: str
    phase: str
    lines: tuple[str, ...]
    counts: Summary
    rest: Estimate | None
    grids: tuple[Grid, ...]

    @property
    def done(self) -> int:
        """Nodes that are through, however it ended."""
        return self.counts.completed + self.counts.skipped + self.counts.failed


def board(operation: Operation, now: datetime, *, each_node: bool = False, room: int = MANY) -> Board:
    """The board of an operation in about `room` rows; `each_node` gives every node one, however many there are."""
    status, records = operation.status, operation.status.nodes
    counts = status.summary or summary(records)
    phase = str(status.phase or Phase.PENDING)
    if operation.meta.paused and not operation.final:
        phase = f"Paused ({phase})"
    return Board(
        title=f"{operation.label} in {operation.meta.namespace}: {operation.about}",
        phase=phase,
        lines=tuple(_lines(operation, now)),
        counts=counts,
        rest=None if operation.final or not records else _rest(operation, now),
        grids=_grids(records, now, len(records) if each_node else min(room, MANY)),
    )


def rest_text(found: Board) -> str:
    """The estimate in words, or nothing for an operation that has none to make."""
    return sentence(found.rest) if found.rest else ""


def counts_text(counts: Summary) -> str:
    """The counts in words, without the zeros."""
    parts = {
        "done": counts.completed,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "in flight": counts.running,
        "waiting": counts.pending,
    }
    told = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    return number_of("node", counts.total) + (f": {told}" if told else "")


def _lines(operation: Operation, now: datetime) -> Iterable[str]:
    status = operation.status
    if status.message:
        yield status.message
    elif not operation.final:
        yield "The operator has not started it yet; `kubectl kairos why` looks for the reason"
    if operation.blocked_drain:
        yield f"{BLOCKED}: {operation.blocked_drain}"
    if status.started_at:
        end = status.completed_at if operation.final and status.completed_at else now
        word = "Took" if operation.final else "Running for"
        yield f"{word} {short((end - status.started_at).total_seconds())}"


def _rest(operation: Operation, now: datetime) -> Estimate:
    records = operation.status.nodes
    return estimate(records, operation.spec.concurrency, now, held=_held(operation, records))


def _held(operation: Operation, records: Mapping[str, NodeStatus]) -> str:
    """Why nobody can know how long the rest takes, or nothing."""
    if operation.blocked_drain:
        return "a drain is blocked, and goes on when it is allowed to"
    if not any(one.step is Step.WAITING for one in records.values()):
        return ""
    if operation.meta.paused:
        return "paused, no further node is started"
    failed = any(one.outcome is Outcome.FAILED for one in records.values())
    stops = operation.spec.stop_on_failure and failed
    return "a node failed, and with stopOnFailure no further node is started" if stops else ""


def _grids(records: Mapping[str, NodeStatus], now: datetime, room: int) -> tuple[Grid, ...]:
    if not records:
        return ()
    if len(records) <= room:
        return (_rows(records, now),)
    open_ones = [name for name, one in records.items() if one.in_flight or one.outcome is Outcome.FAILED]
    shown = sorted(open_ones, key=lambda name: (_rank(records[name]), name))[:room]
    groups = _groups(records, now)
    return (groups, _rows({name: records[name] for name in shown}, now)) if shown else (groups,)


def _rank(record: NodeStatus) -> int:
    return 2 if record.step is Step.WAITING else _RANK[record.outcome]


def _rows(records: Mapping[str, NodeStatus], now: datetime) -> Grid:
    names = sorted(records, key=lambda name: (records[name].started_at is None, _began(records[name]), name))
    return Grid(NODE_HEADINGS, [_row(name, records[name], now) for name in names], wide="MESSAGE")


def _began(record: NodeStatus) -> float:
    return record.started_at.timestamp() if record.started_at else 0.0


def _row(name: str, record: NodeStatus, now: datetime) -> tuple[str, ...]:
    done = record.step is Step.DONE
    since = None
    if record.step_started_at is not None:
        start, end = (record.started_at, record.step_started_at) if done else (record.step_started_at, now)
        since = (end - start).total_seconds() if start else None
    elapsed = "" if since is None else short(since)
    return (name, shown_phase(record), "" if done else str(record.step), elapsed, record.message or "")


def shown_phase(record: NodeStatus) -> str:
    """The node's phase, with a skip told apart from work that was done."""
    return "Skipped" if record.outcome is Outcome.SKIPPED else str(record.phase)


def _groups(records: Mapping[str, NodeStatus], now: datetime) -> Grid:
    found: dict[tuple[str, str], list[tuple[str, NodeStatus]]] = {}
    for name, record in records.items():
        step = "" if record.step is Step.DONE else str(record.step)
        found.setdefault((shown_phase(record), step), []).append((name, record))
    order = sorted(found.items(), key=lambda item: (min(_rank(one) for _, one in item[1]), item[0]))
    rows = []
    for (phase, step), members in order:
        oldest = min(members, key=lambda item: _since(item[1], now))
        longest = short(now.timestamp() - _since(oldest[1], now)) if step and step != Step.WAITING else ""
        told = f"{oldest[0]}: {oldest[1].message}" if longest and oldest[1].message else ""
        rows.append((phase, step, str(len(members)), longest, told))
    return Grid(("PHASE", "STEP", "NODES", "LONGEST", "WHICH"), rows, wide="WHICH")


def _since(record: NodeStatus, now: datetime) -> float:
    return (record.step_started_at or now).timestamp()
