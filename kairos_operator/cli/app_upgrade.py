"""`upgrade IMAGE`: each field of a NodeOpUpgrade's spec has its flag."""

from __future__ import annotations

from typing import Annotated

import typer

from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.cli import flags
from kairos_operator.cli.connection import Access
from kairos_operator.cli.create import DryRun
from kairos_operator.cli.flags_create import (
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
    secrets,
)


def upgrade(  # long: one parameter for each flag
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image with the new Kairos version.")],
    selector: Selector = None,
    node: Nodes = None,
    concurrency: Concurrency = None,
    stop_on_failure: StopOnFailure = None,
    image_pull_secret: PullSecrets = None,
    upgrade_active: Annotated[
        bool | None,
        typer.Option("--active/--no-active", help="Upgrade the active partition.", rich_help_panel=WORK),
    ] = None,
    upgrade_recovery: Annotated[
        bool | None, typer.Option("--recovery", help="Upgrade the recovery partition.", rich_help_panel=WORK)
    ] = None,
    force: Annotated[
        bool | None,
        typer.Option("--force", help="Also nodes that have the version already.", rich_help_panel=WORK),
    ] = None,
    debug: Annotated[
        bool | None, typer.Option("--debug", help="Run kairos-agent with --debug.", rich_help_panel=WORK)
    ] = None,
    exclude_path: Annotated[
        list[str] | None,
        typer.Option("--exclude-path", help="Leave this path of the image out.", rich_help_panel=WORK),
    ] = None,
    uncordon_on_failure: UncordonOnFailure = None,
    job_timeout: JobTimeout = None,
    reboot_timeout: RebootTimeout = None,
    name: NewName = None,
    dry_run: flags.DryRunFlag = DryRun.NONE,
    output: flags.OutputFlag = None,
    watch: flags.Watch = False,
    timeout: flags.Timeout = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    namespace: flags.Namespace = None,
) -> None:
    """Upgrade Kairos nodes to an image."""
    spec = {
        "image": image,
        "imagePullSecrets": secrets(image_pull_secret),
        "concurrency": concurrency,
        "stopOnFailure": stop_on_failure,
        "upgradeActive": upgrade_active,
        "upgradeRecovery": upgrade_recovery,
        "force": force,
        "debug": debug,
        "uncordonOnFailure": uncordon_on_failure,
        "jobTimeoutSeconds": job_timeout,
        "rebootTimeoutSeconds": reboot_timeout,
        "excludePaths": exclude_path or None,
    }
    making = Making(Access(kubeconfig, context, namespace), name, dry_run, output, watch, timeout)
    making.go(NODE_OP_UPGRADES, "upgrade-", spec, selector, node or [])
