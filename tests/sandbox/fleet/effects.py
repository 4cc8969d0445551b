"""What the model of a node or of the Job controller asks its driver to do: data, so that any driver can do it.

Each effect is answered with `Kubelet.answer(effect, ok)` or `JobController.answer(effect, ok)`: what was refused
for a passing reason is asked for again with the state of then. Writes to one object are to be done in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Object = Mapping[str, Any]


class RunId(NamedTuple):
    """One run of one container; the attempt counts from 0."""

    pod_uid: str
    container: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Program:
    """One of the operator's own programs, to be run for real."""

    name: str
    """upgrade, preflight, postflight, sentinel or reboot."""
    script: str = field(default="", repr=False)
    """The text for `sh -c`; empty for the reboot program."""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatchPodStatus:
    """Merge `status` into that very pod's."""

    namespace: str
    name: str
    uid: str
    status: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnnotatePod:
    """What a modelled program writes into its own pod; it goes on when that is answered."""

    namespace: str
    name: str
    uid: str
    annotations: Mapping[str, str]
    run: RunId


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Remove that very pod: at once where its containers have ended, else within its own grace period."""

    namespace: str
    name: str
    uid: str
    gracefully: bool = False


@dataclass(frozen=True, slots=True)
class PatchNodeStatus:
    """Merge `status` into the Node's."""

    name: str
    status: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Run a program for real, and say `Kubelet.ended` when it has ended."""

    node: str
    run: RunId
    program: Program
    pod: Object = field(repr=False)
    container: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopProgram:
    """End a program: SIGTERM, and SIGKILL after the grace period; at once where that is 0."""

    run: RunId
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Make a pod of a Job; one of that name is as good."""

    namespace: str
    name: str
    job_uid: str
    body: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class PatchJobStatus:
    """Merge `status` into the Job's, if it still has that resourceVersion."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    status: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class DropFinalizer:
    """Leave the pod these finalizers only."""

    namespace: str
    name: str
    uid: str
    finalizers: tuple[str, ...]


NodeEffect = PatchPodStatus | AnnotatePod | DeletePod | PatchNodeStatus | RunProgram | StopProgram
JobEffect = CreatePod | PatchJobStatus | DropFinalizer | DeletePod
Effect = NodeEffect | JobEffect
