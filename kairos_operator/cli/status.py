"""`status`: the board of one operation, or the list of those under way; live on a terminal with `--watch`.

Without a terminal `--watch` prints a line for each change, so that a CI log tells the story.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import Phase
from kairos_operator.cli.board import BLOCKED, Board, board, counts_text, rest_text, shown_phase
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.durations import short
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.follow import Followed, followed, operation_source
from kairos_operator.cli.operations import Operation, all_operations, find, latest_first
from kairos_operator.cli.screen import STYLES, Grid, Output, Screen, items, stacked

LIST_HEADINGS = ("NAMESPACE", "OPERATION", "PHASE", "DONE", "IN FLIGHT", "FAILED", "FOR", "MESSAGE")
FRAME_ROWS = 12  # of a terminal, for what stands above the nodes' rows
FEWEST_ROWS = 5


def now() -> datetime:
    """The caller's own clock; what it is compared with was written by the cluster's."""
    return datetime.now(UTC)  # noqa: TID251 (a command line reads the wall clock)


def pictured(found: Board) -> Group:
    """A board as a terminal shows it."""
    head = Text(found.title, style="bold")
    head.append(f"\n{found.phase}", style=STYLES.get(found.phase.split(" ")[0], ""))
    bar = Table.grid(padding=(0, 1))
    total = max(1, found.counts.total)
    style = "red" if found.counts.failed else "green"
    progress = ProgressBar(
        total=total, completed=found.done, width=40, complete_style=style, finished_style=style
    )
    bar.add_row(progress, counts_text(found.counts))
    parts: list[RenderableType] = [head, *(_line(line) for line in found.lines), bar]
    if rest_text(found):
        parts.append(Text(rest_text(found), style="dim"))
    for grid in found.grids:
        parts += [Text(""), grid.table()]
    return Group(*parts)


def _line(text: str) -> Text:
    return Text(text, style="bold red" if text.startswith(BLOCKED) else "")


def printed(found: Board) -> list[str]:
    """A board as lines without a terminal."""
    lines = [found.title, f"{found.phase}: {counts_text(found.counts)}", *found.lines]
    if rest_text(found):
        lines.append(rest_text(found))
    for grid in found.grids:
        lines += ["", grid.plain()]
    return lines


async def show_one(
    cluster: Cluster, screen: Screen, name: str, output: Output | None, *, each_node: bool
) -> Exit:
    """The operation as it is now."""
    operation = await find(cluster, name)
    if output is not None:
        screen.data(dict(operation.raw), output, [operation.title])
        return operation.exit_code
    found = board(operation, now(), each_node=each_node)
    if screen.lively:
        screen.show(pictured(found))
    else:
        screen.show(*printed(found))
    return operation.exit_code


async def watch_one(
    cluster: Cluster, screen: Screen, operation: Operation, timeout: float | None, *, each_node: bool
) -> Exit:
    """The operation until it ends; the exit code says how."""
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    source = operation_source(operation.resource, operation.meta.name)
    async with followed(cluster, [source], operation.meta.namespace) as watched:
        if screen.lively:
            return await _drawn(screen, watched, operation, deadline, each_node=each_node)
        return await _told(screen, watched, operation, deadline)


async def _drawn(
    screen: Screen, watched: Followed, operation: Operation, deadline: float | None, *, each_node: bool
) -> Exit:
    with Live(console=screen.console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        async for _ in watched.changes(deadline, ticking=True):
            current = _still(watched.values(), operation)
            room = max(FEWEST_ROWS, screen.console.height - FRAME_ROWS)
            picture = pictured(board(current, now(), each_node=each_node, room=room))
            live.update(_with_complaint(picture, watched), refresh=True)
            if current.final:
                return current.exit_code
    raise AssertionError("changes never end by themselves")


async def _told(screen: Screen, watched: Followed, operation: Operation, deadline: float | None) -> Exit:
    said: dict[str, str] = {}
    async for _ in watched.changes(deadline, ticking=False):
        current = _still(watched.values(), operation)
        for line in news(current, said):
            screen.show(f"{now():%H:%M:%S} {line}")
        if current.final:
            return current.exit_code
    raise AssertionError("changes never end by themselves")


def news(operation: Operation, said: dict[str, str]) -> list[str]:
    """What is new since `said`, which is brought up to date: a line for each node that moved, then the whole."""
    lines = []
    for name, record in sorted(operation.status.nodes.items()):
        step = shown_phase(record) if record.outcome else f"{record.phase}/{record.step}"
        if record.started_at is None and name not in said and record.outcome is None:
            said[name] = step  # that a node waits is no news
        if said.get(name) != step:
            said[name] = step
            lines.append(f"{name} {step}: {record.message or ''}".rstrip(": "))
    whole = f"{operation.status.phase or Phase.PENDING}: {operation.status.message or ''}".rstrip(": ")
    if said.get("") != whole:
        said[""] = whole
        lines.append(whole)
    return lines


def _still(found: list[Operation], operation: Operation) -> Operation:
    for current in found:
        if current.meta.uid == operation.meta.uid:
            return current
    raise Trouble(f"{operation.label} was deleted meanwhile")


def _with_complaint(picture: RenderableType, watched: Followed) -> RenderableType:
    if not watched.complaint.text:
        return picture
    return Group(picture, Text(watched.complaint.text, style="red"))


def under_way(operations: list[Operation], moment: datetime) -> Grid | None:
    """The list of operations that have not ended, or None where there is none."""
    rows = []
    for one in operations:
        counts = one.status.summary
        done = counts.progress if counts else "0/0"
        flying, failed = (str(counts.running), str(counts.failed)) if counts else ("0", "0")
        elapsed = short((moment - one.began).total_seconds()) if one.began else ""
        phase = "Paused" if one.meta.paused else str(one.status.phase or Phase.PENDING)
        label = f"{one.resource.kind.lower()}/{one.meta.name}"
        rows.append(
            (one.meta.namespace, label, phase, done, flying, failed, elapsed, one.status.message or "")
        )
    return Grid(LIST_HEADINGS, rows, wide="MESSAGE") if rows else None


async def show_all(cluster: Cluster, screen: Screen, output: Output | None) -> Exit:
    """The operations under way."""
    found = [one for one in await all_operations(cluster) if not one.final]
    if output is not None:
        screen.data(items(one.raw for one in found), output, [one.title for one in found])
        return Exit.DONE
    screen.show(under_way(found, now()) or _nothing(cluster))
    return Exit.DONE


async def watch_all(cluster: Cluster, screen: Screen, timeout: float | None) -> Exit:
    """The operations under way, until Ctrl-C or the timeout."""
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    sources = [operation_source(resource) for resource in (NODE_OP_UPGRADES, NODE_OPS)]
    async with followed(cluster, sources, cluster.scope) as watched, AsyncExitStack() as stack:
        live = Live(console=screen.console, auto_refresh=False) if screen.lively else None
        if live is not None:
            stack.enter_context(live)
        async for _ in watched.changes(deadline, ticking=live is not None):
            open_ones = [one for one in latest_first(watched.values()) if not one.final]
            part = under_way(open_ones, now()) or _nothing(cluster)
            if live is not None:
                live.update(_with_complaint(stacked([part]), watched), refresh=True)
            else:
                screen.show(part)
    raise AssertionError("changes never end by themselves")


def _nothing(cluster: Cluster) -> str:
    where = "in the cluster" if cluster.all_namespaces else f"in namespace {cluster.namespace}"
    more = "" if cluster.all_namespaces else "; -A looks in all namespaces"
    return f"No operation is under way {where}{more}. `kubectl kairos history` shows those that ended."
