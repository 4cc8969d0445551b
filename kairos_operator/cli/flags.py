"""The flags that commands share, spelled as kubectl spells them, and how a command runs and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.cli.connection import Access, Cluster, connected
from kairos_operator.cli.create import DryRun
from kairos_operator.cli.exits import Exit, Trouble, explained
from kairos_operator.cli.screen import Screen
from kairos_operator.runtime.errors import ApiError

COMPLETION_SECONDS = 3.0  # a shell that waits for a cluster that is away annoys more than no completion

Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig.", rich_help_panel="Cluster")
]
Context = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context to use.", rich_help_panel="Cluster")
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="The namespace; the context's own.", rich_help_panel="Cluster"),
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.", rich_help_panel="Cluster")
]
OutputFlag = Annotated[str | None, typer.Option("--output", "-o", help="json, yaml or name.")]
DataFlag = Annotated[str | None, typer.Option("--output", "-o", help="json or yaml.")]
DryRunFlag = Annotated[
    DryRun,
    typer.Option("--dry-run", help="Create nothing: only check the object here, or have the server do it."),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it ends.")]
Timeout = Annotated[
    str | None, typer.Option("--timeout", help="How long to watch, such as 30m; exit code 3 after that.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


Work = Callable[[Cluster, Screen], Awaitable[Exit]]


def perform(access: Access, work: Work, screen: Screen) -> Exit:
    """Connect and do the work."""

    async def connected_work() -> Exit:
        async with connected(access) as cluster:
            return await work(cluster, screen)

    return asyncio.run(connected_work())


def ended(screen: Screen, work: Callable[[], Exit]) -> None:
    """Do the work and end with its exit code; an error is one sentence on standard error."""
    try:
        code = work()
    except ApiError as error:
        code = _said(screen, explained(error))
    except Trouble as trouble:
        code = _said(screen, trouble)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    raise typer.Exit(int(code))


def _said(screen: Screen, trouble: Trouble) -> Exit:
    screen.warn("error: " + " ".join(str(trouble).split()))
    return trouble.code


def performed(access: Access, work: Work) -> None:
    """A whole command: connect, do the work, end with its exit code."""
    screen = Screen()
    ended(screen, lambda: perform(access, work, screen))


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """The names of operations, for the shell's completion; nothing where the cluster does not answer."""
    given = context.params
    access = Access(given.get("kubeconfig"), given.get("context"), given.get("namespace"))

    async def names() -> list[str]:
        async with asyncio.timeout(COMPLETION_SECONDS), connected(access) as cluster:
            listings = [await cluster.list(res, cluster.namespace) for res in (NODE_OP_UPGRADES, NODE_OPS)]
            return sorted({item["metadata"]["name"] for listing in listings for item in listing.items})

    try:
        return [name for name in asyncio.run(names()) if name.startswith(incomplete)]
    except (Trouble, ApiError, TimeoutError):
        return []


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The operation: NAME, nodeopupgrade/NAME or nodeop/NAME.",
        autocompletion=complete_name,
    ),
]
OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="The operation: NAME, nodeopupgrade/NAME or nodeop/NAME.",
        autocompletion=complete_name,
    ),
]
