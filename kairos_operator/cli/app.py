"""The commands of `kubectl kairos`, and what each flag means to them."""

from __future__ import annotations

from typing import Annotated

import typer

from kairos_operator.cli import app_run, app_upgrade, flags, status
from kairos_operator.cli.connection import Access, Cluster
from kairos_operator.cli.create import DryRun
from kairos_operator.cli.durations import parse_seconds
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.flags_create import parse_timeout
from kairos_operator.cli.history import show_history
from kairos_operator.cli.inquiry import ask
from kairos_operator.cli.logs import Wanted, show_logs
from kairos_operator.cli.operations import find
from kairos_operator.cli.plan import plan
from kairos_operator.cli.remove import delete_finished
from kairos_operator.cli.retry import retry
from kairos_operator.cli.screen import Output, Screen, parse_output

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


@app.command("logs")
def show_operation_logs(
    name: flags.Name,
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Only what was said on this node.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the operation ends.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="So many last lines of each container.")
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Each line with its time.")] = False,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Print what an operation's containers said, each line with its node; also of Jobs that have ended."""
    wanted = Wanted(node, tail, timestamps)
    flags.performed(
        Access(kubeconfig, context, namespace),
        lambda cluster, screen: show_logs(cluster, screen, name, wanted, follow=follow),
    )


@app.command("why")
def say_why(
    name: flags.Name,
    output: flags.DataFlag = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Say the one thing that is in an operation's way, and what to do about it.

    The exit code is 0 if it has completed, 1 if it has failed, 3 otherwise.
    """

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        return await ask(cluster, screen, name, parse_output(output, Output.JSON, Output.YAML))

    flags.performed(Access(kubeconfig, context, namespace), work)


@app.command("plan")
def show_plan(
    name: flags.OptionalName = None,
    file: Annotated[
        str | None,
        typer.Option("--filename", "-f", help="A manifest that is not in the cluster yet; - for stdin."),
    ] = None,
    all_nodes: Annotated[
        bool, typer.Option("--all-nodes", help="The whole order, however long it is.")
    ] = False,
    output: flags.DataFlag = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Show what would happen, and what would stand in the way now. Nothing is changed.

    The exit code is 3 if something would stop the operation as things are.
    """

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        form = parse_output(output, Output.JSON, Output.YAML)
        return await plan(cluster, screen, name, file, form, every=all_nodes)

    flags.performed(Access(kubeconfig, context, namespace), work)


@app.command("history")
def list_history(
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many, the latest first; 0 for all.")] = 20,
    output: flags.OutputFlag = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
    all_namespaces: flags.AllNamespaces = False,
) -> None:
    """List the runs so far, with how they ended and how long they took."""

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        return await show_history(cluster, screen, parse_output(output), limit)

    flags.performed(Access(kubeconfig, context, namespace, all_namespaces), work)


@app.command("retry")
def retry_operation(
    name: flags.Name,
    dry_run: flags.DryRunFlag = DryRun.NONE,
    output: flags.OutputFlag = None,
    watch: flags.Watch = False,
    timeout: flags.Timeout = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Make a new run of a failed operation, for the nodes that failed or were not reached."""

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        form, seconds = parse_output(output), parse_timeout(timeout)
        return await retry(cluster, screen, name, form, dry_run=dry_run, watch=watch, timeout=seconds)

    flags.performed(Access(kubeconfig, context, namespace), work)


@app.command("delete")
def delete_operations(
    finished: Annotated[
        bool, typer.Option("--finished", help="Those that completed or failed; required.")
    ] = False,
    older_than: Annotated[
        str, typer.Option("--older-than", help="How long ago they ended, such as 30d.")
    ] = "0s",
    yes: flags.Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    output: Annotated[str | None, typer.Option("--output", "-o", help="name.")] = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
    all_namespaces: flags.AllNamespaces = False,
) -> None:
    """Delete operations that ended long ago, with their Jobs and pods."""

    async def work(cluster: Cluster, screen: Screen) -> Exit:
        if not finished:
            raise Trouble("say --finished; a single operation is deleted with kubectl delete", Exit.USAGE)
        form, seconds = parse_output(output, Output.NAME), parse_seconds(older_than)
        return await delete_finished(cluster, screen, seconds, form, yes=yes, dry_run=dry_run)

    flags.performed(Access(kubeconfig, context, namespace, all_namespaces), work)
