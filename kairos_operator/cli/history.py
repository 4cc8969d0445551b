"""`history`: past and present runs, with how long they took and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kairos_operator.api.status import Phase
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.durations import short
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.operations import Operation, all_operations
from kairos_operator.cli.screen import Grid, Output, Screen, items
from kairos_operator.cli.status import now
from kairos_operator.core.status import summary

HEADINGS = ("NAMESPACE", "OPERATION", "OUTCOME", "DONE", "SKIPPED", "FAILED", "TOOK", "BEGAN", "WHAT")
WHAT_WIDTH = 100  # characters of an image or command; a whole script would hide the rest


async def show_history(cluster: Cluster, screen: Screen, output: Output | None, limit: int) -> Exit:
    """The latest runs, the last one first; `limit` 0 shows all."""
    found = await all_operations(cluster)
    shown = found[:limit] if limit else found
    if output is not None:
        screen.data(items(one.raw for one in shown), output, [one.title for one in shown])
        return Exit.DONE
    if not found:
        where = "the cluster" if cluster.all_namespaces else f"namespace {cluster.namespace}"
        screen.show(f"There has been no operation in {where}.")
        return Exit.DONE
    screen.show(history(shown, now()))
    if len(shown) < len(found):
        screen.warn(f"{len(found) - len(shown)} older ones are not shown; --limit 0 shows all")
    return Exit.DONE


def history(operations: Sequence[Operation], moment: datetime) -> Grid:
    """The runs as rows."""
    return Grid(HEADINGS, [_row(one, moment) for one in operations], wide="WHAT")


def _row(operation: Operation, moment: datetime) -> tuple[str, ...]:
    status = operation.status
    counts = status.summary or summary(status.nodes)
    end = status.completed_at or moment
    took = short((end - status.started_at).total_seconds()) if status.started_at else ""
    began = operation.began
    what = operation.about
    return (
        operation.meta.namespace,
        f"{operation.resource.kind.lower()}/{operation.meta.name}",
        str(status.phase or Phase.PENDING),
        counts.progress,
        str(counts.skipped),
        str(counts.failed),
        took if operation.final or not took else f"{took} so far",
        f"{short((moment - began).total_seconds())} ago" if began else "",
        what if len(what) <= WHAT_WIDTH else what[: WHAT_WIDTH - 1] + "…",
    )
