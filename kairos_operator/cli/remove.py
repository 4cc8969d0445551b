"""`delete --finished`: clears away operations that ended long ago, and with them their Jobs and pods.

Only what has ended is deleted, and each object only as it was seen: one of the same name that is made in between stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime

from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.durations import short
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.history import history
from kairos_operator.cli.operations import Operation, all_operations
from kairos_operator.cli.screen import Output, Screen
from kairos_operator.cli.status import now
from kairos_operator.runtime.errors import Conflict, NotFound


async def delete_finished(
    cluster: Cluster, screen: Screen, older_than: int, output: Output | None, *, yes: bool, dry_run: bool
) -> Exit:
    """Delete the operations that ended more than `older_than` seconds ago, after asking."""
    moment = now()
    found = [one for one in await all_operations(cluster) if ended_before(one, moment, older_than)]
    if not found:
        screen.show(f"No operation ended more than {short(older_than)} ago.")
        return Exit.DONE
    if not dry_run and not yes:
        if not (screen.lively and sys.stdin.isatty()):
            raise Trouble(
                f"{len(found)} operations would be deleted; say --yes (or --dry-run to see them)", Exit.USAGE
            )
        screen.show(history(found, moment))
        if not _agreed(input, len(found)):
            return Exit.INTERRUPTED
    for operation in found:
        if not dry_run:
            await _delete(cluster, operation)
        note = " (dry run)" if dry_run else ""
        screen.show(operation.title if output is Output.NAME else f"{operation.title} deleted{note}")
    return Exit.DONE


def ended_before(operation: Operation, moment: datetime, seconds: int) -> bool:
    """Whether the operation ended for good, longer ago than so many seconds."""
    ended = operation.status.completed_at or operation.status.last_updated
    return operation.final and ended is not None and (moment - ended).total_seconds() > seconds


def _agreed(ask: Callable[[str], str], number: int) -> bool:
    return ask(f"Delete these {number} operations? [y/N] ").strip().lower() in ("y", "yes")


async def _delete(cluster: Cluster, operation: Operation) -> None:
    meta = operation.meta
    try:
        await cluster.client.delete(operation.resource, meta.name, meta.namespace, uid=meta.uid)
    except (NotFound, Conflict):
        return  # somebody was faster
