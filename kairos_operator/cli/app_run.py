"""`run -- COMMAND`: each field of a NodeOp's spec has its flag."""

from __future__ import annotations

from typing import Annotated

import typer

from kairos_operator.api.resources import NODE_OPS
from kairos_operator.cli import flags
from kairos_operator.cli.connection import Access
from kairos_operator.cli.create import DryRun
from kairos_operator.cli.flags_create import (
    CHECKS,
    DRAIN,
    WORK,
    Concurrency,
    JobTimeout,
    Making,
    NewName,
    Nodes,
    PullSecrets,
    RebootTimeout,
    Selector,
    StopOnFailure,
    UncordonOnFailure,
    check,
    secrets,
)


def run(  # long: one parameter for each flag
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to run on each node.")],
    image: Annotated[
        str | None, typer.Option("--image", help="The command's image.", rich_help_panel=WORK)
    ] = None,
    selector: Selector = None,
    node: Nodes = None,
    concurrency: Concurrency = None,
    stop_on_failure: StopOnFailure = None,
    image_pull_secret: PullSecrets = None,
    host_mount_path: Annotated[
        str | None,
        typer.Option("--host-mount-path", help="Where the node's root is mounted.", rich_help_panel=WORK),
    ] = None,
    reboot: Annotated[
        bool | None, typer.Option("--reboot", help="Reboot the node after success.", rich_help_panel=WORK)
    ] = None,
    backoff_limit: Annotated[
        int | None,
        typer.Option("--backoff-limit", min=0, help="How often the Job tries again.", rich_help_panel=WORK),
    ] = None,
    uncordon_on_failure: UncordonOnFailure = None,
    job_timeout: JobTimeout = None,
    reboot_timeout: RebootTimeout = None,
    cordon: Annotated[
        bool | None, typer.Option("--cordon/--no-cordon", help="Cordon the node.", rich_help_panel=DRAIN)
    ] = None,
    drain: Annotated[
        bool | None, typer.Option("--drain", help="Drain the node; cordons it too.", rich_help_panel=DRAIN)
    ] = None,
    drain_force: Annotated[
        bool | None,
        typer.Option("--drain-force", help="Evict pods without a controller.", rich_help_panel=DRAIN),
    ] = None,
    grace_period: Annotated[
        int | None, typer.Option("--grace-period", help="Seconds a pod has to end.", rich_help_panel=DRAIN)
    ] = None,
    ignore_daemon_sets: Annotated[
        bool | None,
        typer.Option("--ignore-daemonsets/--no-ignore-daemonsets", help="Leave them.", rich_help_panel=DRAIN),
    ] = None,
    delete_empty_dir_data: Annotated[
        bool | None,
        typer.Option("--delete-emptydir-data", help="Evict pods with emptyDir data.", rich_help_panel=DRAIN),
    ] = None,
    drain_timeout: Annotated[
        str | None, typer.Option("--drain-timeout", help="For one node, such as 5m.", rich_help_panel=DRAIN)
    ] = None,
    preflight: Annotated[
        str | None, typer.Option("--preflight", help="A shell script to run before.", rich_help_panel=CHECKS)
    ] = None,
    preflight_image: Annotated[str | None, typer.Option("--preflight-image", rich_help_panel=CHECKS)] = None,
    preflight_timeout: Annotated[
        str | None, typer.Option("--preflight-timeout", rich_help_panel=CHECKS)
    ] = None,
    postflight: Annotated[
        str | None, typer.Option("--postflight", help="A shell script to run after.", rich_help_panel=CHECKS)
    ] = None,
    postflight_image: Annotated[
        str | None, typer.Option("--postflight-image", rich_help_panel=CHECKS)
    ] = None,
    postflight_timeout: Annotated[
        str | None, typer.Option("--postflight-timeout", rich_help_panel=CHECKS)
    ] = None,
    name: NewName = None,
    dry_run: flags.DryRunFlag = DryRun.NONE,
    output: flags.OutputFlag = None,
    watch: flags.Watch = False,
    timeout: flags.Timeout = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Run a command on nodes, as a NodeOp."""
    spec = {
        "command": command,
        "image": image,
        "imagePullSecrets": secrets(image_pull_secret),
        "hostMountPath": host_mount_path,
        "cordon": True if drain and cordon is None else cordon,
        "uncordonOnFailure": uncordon_on_failure,
        "jobTimeoutSeconds": job_timeout,
        "rebootTimeoutSeconds": reboot_timeout,
        "drainOptions": {
            "enabled": drain,
            "force": drain_force,
            "gracePeriodSeconds": grace_period,
            "ignoreDaemonSets": ignore_daemon_sets,
            "deleteEmptyDirData": delete_empty_dir_data,
            "timeoutSeconds": drain_timeout,
        },
        "preflight": check(preflight, preflight_image, preflight_timeout),
        "postflight": check(postflight, postflight_image, postflight_timeout),
        "rebootOnSuccess": reboot,
        "backoffLimit": backoff_limit,
        "concurrency": concurrency,
        "stopOnFailure": stop_on_failure,
    }
    making = Making(Access(kubeconfig, context, namespace), name, dry_run, output, watch, timeout)
    making.go(NODE_OPS, "run-", spec, selector, node or [])
