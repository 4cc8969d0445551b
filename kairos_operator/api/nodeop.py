"""NodeOp: run a command on the selected nodes. The spec, as users write it.

These models are the one source of parsing, defaults, validation and the CRD schema. The defaults are those of
kairos-io/kairos-operator v0.1.3, so that its manifests mean the same here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kairos_operator.api.base import ApiModel, LocalObjectReference
from kairos_operator.api.selectors import LabelSelector

DEFAULT_IMAGE = "busybox:latest"
DEFAULT_HOST_MOUNT_PATH = "/host"
DEFAULT_DRAIN_TIMEOUT_SECONDS = 300
DEFAULT_CHECK_DEADLINE_SECONDS = 120
DEFAULT_REBOOT_TIMEOUT_SECONDS = 1800
MAX_SECONDS = 7 * 24 * 3600
# Absolute, no empty, `.` or `..` step, no slash at the end; Kubernetes refuses colons in mount paths.
CLEAN_PATH = r"^(/([^/.:\x00-\x1f]|\.[^/.:\x00-\x1f]|\.\.[^/:\x00-\x1f])[^/:\x00-\x1f]*)+$"

Image = Annotated[str, Field(min_length=1, max_length=512)]
# One argument may be a whole script; Linux ends a single argument at 128 KiB (MAX_ARG_STRLEN).
Command = Annotated[list[Annotated[str, Field(max_length=131072)]], Field(min_length=1, max_length=1024)]
PullSecrets = Annotated[list[LocalObjectReference] | None, Field(max_length=32)]
Concurrency = Annotated[int, Field(ge=0, le=100_000)]
JobTimeout = Annotated[int | None, Field(ge=1, le=MAX_SECONDS)]
RebootTimeout = Annotated[int, Field(ge=1, le=MAX_SECONDS)]


class DrainOptions(ApiModel):
    """How a node's pods are evicted before the command runs."""

    enabled: bool = False
    """Whether to drain the node; needs `cordon: true`."""
    force: bool = False
    """Whether to evict pods that no controller manages too; nothing makes those anew."""
    grace_period_seconds: Annotated[int | None, Field(ge=-(2**31), le=MAX_SECONDS)] = None
    """Seconds a pod is given to end; unset or negative means the pod's own."""
    ignore_daemon_sets: bool = True
    """Whether to leave DaemonSet pods where they are; otherwise a node that has one cannot be drained."""
    delete_empty_dir_data: bool = False
    """Whether to evict pods with emptyDir volumes too; their data is lost."""
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = DEFAULT_DRAIN_TIMEOUT_SECONDS
    """Seconds that the drain of one node may take; after it the node fails and is uncordoned."""


class NodeCheck(ApiModel):
    """A short, unprivileged command on a node, with the host's root mounted read-only."""

    command: Command
    """The command; what it writes to /dev/termination-log becomes the node's message."""
    image: Image | None = None
    """Image of the command; spec.image where unset."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = DEFAULT_CHECK_DEADLINE_SECONDS
    """Seconds the check may take, the pull of its image included."""


class NodeOpSpec(ApiModel):
    """What to run, on which nodes, how many at once, and what to do around it."""

    command: Command
    """The command to run on every selected node, as a privileged container with the host's root mounted."""
    image: Image | None = None
    """Image of the command; the operator's NODEOP_DEFAULT_IMAGE where unset, else busybox:latest."""
    image_pull_secrets: PullSecrets = None
    """Secrets of the NodeOp's namespace that every pod of the operation pulls its images with."""
    node_selector: LabelSelector | None = None
    """Which nodes; every node where unset. Resolved once, when the operation starts."""
    host_mount_path: Annotated[str, Field(min_length=2, max_length=4096, pattern=CLEAN_PATH)] = (
        DEFAULT_HOST_MOUNT_PATH
    )
    """Absolute path at which the node's root is mounted; the command finds it in HOST_DIR too."""
    cordon: bool = False
    """Whether to mark the node unschedulable while the operation works on it."""
    uncordon_on_failure: bool = False
    """Whether to lift the operation's own cordon on a node that failed."""
    # `{}` in the schema, so that the API server fills in the fields' own defaults.
    drain_options: Annotated[DrainOptions | None, Field(json_schema_extra={"default": {}})] = DrainOptions()
    """How the node's pods are evicted before the command runs; unless enabled, they stay."""
    reboot_on_success: bool = False
    """Whether to reboot the node after the command succeeded."""
    backoff_limit: Annotated[int, Field(ge=0, le=2**31 - 1)] = 6
    """How often the Job tries the command again before it fails."""
    concurrency: Concurrency = 0
    """How many nodes are worked on at once; 0 means all at once."""
    stop_on_failure: bool = False
    """Whether to start no further node once one has failed."""
    preflight: NodeCheck | None = None
    """A check before anything happens to a node: a message on success skips it; no success in time fails it."""
    postflight: NodeCheck | None = None
    """A check after the work and the reboot: a failure fails the node, with the message it wrote."""
    job_timeout_seconds: JobTimeout = None
    """Seconds the Job may take on one node (its activeDeadlineSeconds); no limit where unset."""
    reboot_timeout_seconds: RebootTimeout = DEFAULT_REBOOT_TIMEOUT_SECONDS
    """Seconds from the reboot to the node being back and Ready, after which the node fails."""

    @property
    def drains(self) -> bool:
        """Whether nodes are drained."""
        return self.drain_options is not None and self.drain_options.enabled

    @property
    def disrupts(self) -> bool:
        """Whether the operation cordons or reboots, so that it must hold a node alone."""
        return self.cordon or self.reboot_on_success
