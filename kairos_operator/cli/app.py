"""The commands of `kubectl kairos`, and what each flag means to them."""

from __future__ import annotations

from typing import Annotated

import typer

from kairos_operator.cli import app_run, app_upgrade, flags, status
from kairos_operator.cli.connection import Access, Cluster
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.flags_create import parse_timeout
from kairos_operator.cli.operations import find
from kairos_operator.cli.screen import Screen, parse_output

app = typer.Typer(
    name="kubectl-kairos",
    help="Upgrade and operate the Kairos nodes of a cluster.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("upgrade")(app_upgrade.upgrade)
app.command("run")(app_run.run)


@app.command("status")
def show_status(
    name: flags.OptionalName = None,
    watch: flags.Watch = False,
    timeout: flags.Timeout = None,
    all_nodes: Annotated[
        bool, typer.Option("--all-nodes", help="A row for each node, however many there are.")
    ] = False,
    output: flags.OutputFlag = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
    all_namespaces: flags.AllNamespaces = False,
) -> None:
    """Show how far an operation is on each node; without NAME, which operations are under way.

    With NAME, the exit code is 0 for a completed operation, 1 for a failed one, 3 for one that has not ended.
    """

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        form, seconds = parse_output(output), parse_timeout(timeout)
        if name is None:
            if watch:
                return await status.watch_all(cluster, screen, seconds)
            return await status.show_all(cluster, screen, form)
        if watch:
            operation = await find(cluster, name)
            return await status.watch_one(cluster, screen, operation, seconds, each_node=all_nodes)
        return await status.show_one(cluster, screen, name, form, each_node=all_nodes)

    flags.performed(Access(kubeconfig, context, namespace, all_namespaces), work)
