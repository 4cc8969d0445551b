"""NodeOpUpgrade: upgrade the selected Kairos nodes to an image. The spec, as users write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kairos_operator.api.base import ApiModel
from kairos_operator.api.nodeop import (
    DEFAULT_REBOOT_TIMEOUT_SECONDS,
    Concurrency,
    Image,
    JobTimeout,
    PullSecrets,
    RebootTimeout,
)
from kairos_operator.api.selectors import LabelSelector

ExcludePath = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^/[^\n\r\x00]*$")]


class NodeOpUpgradeSpec(ApiModel):
    """The image to upgrade to, which nodes, and how carefully."""

    image: Image
    """The container image with the new Kairos version."""
    image_pull_secrets: PullSecrets = None
    """Secrets of the namespace that the image is pulled with."""
    node_selector: LabelSelector | None = None
    """Which nodes; every node where unset. Resolved once, when the upgrade starts."""
    concurrency: Concurrency = 0
    """How many nodes are upgraded at once; 0 means all at once."""
    stop_on_failure: bool = False
    """Whether to upgrade no further node once one has failed (a canary upgrade)."""
    upgrade_active: bool = True
    """Whether to upgrade the active partition, and reboot into it."""
    upgrade_recovery: bool = False
    """Whether to upgrade the recovery partition; alone, it needs no reboot."""
    force: bool = False
    """Whether to upgrade nodes that are already at the image's version too."""
    debug: bool = False
    """Whether kairos-agent runs with --debug."""
    uncordon_on_failure: bool = False
    """Whether to lift the upgrade's own cordon on a node that failed."""
    exclude_paths: Annotated[list[ExcludePath] | None, Field(max_length=256)] = None
    """Paths of the image that are left out, besides /etc/hostname and /etc/hosts."""
    job_timeout_seconds: JobTimeout = None
    """Seconds the upgrade Job may take on one node; no limit where unset."""
    reboot_timeout_seconds: RebootTimeout = DEFAULT_REBOOT_TIMEOUT_SECONDS
    """Seconds from the reboot to the node being back and Ready, after which the node fails."""

    @property
    def includes_active(self) -> bool:
        """Whether the active partition is upgraded; a run that asks for neither partition means this one."""
        return self.upgrade_active or not self.upgrade_recovery
