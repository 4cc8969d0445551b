"""`logs`: what the containers of an operation said, each line with its node and container before it.

Without `--follow`, node after node in the order in which they were started, each pod whole. With it, lines as they
come, from pods that are there and from those that are still to come, until the operation has ended. A stream that
breaks because its node reboots is no error: the pod's next run has a stream of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from rich.text import Text

from kairos_operator.api.cluster import PodView, parse_pod
from kairos_operator.api.names import ANNOTATION_NODE, ANNOTATION_NODE_OP
from kairos_operator.api.resources import PODS
from kairos_operator.cli.connection import Cluster
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.follow import Source, followed, operation_source
from kairos_operator.cli.operations import Operation, find
from kairos_operator.cli.screen import Screen
from kairos_operator.runtime.errors import ApiError, Invalid, NotFound, Unreachable, from_status

CONNECT_SECONDS = 10.0
COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines, as kubectl logs has it."""

    node: str | None = None
    tail: int | None = None
    timestamps: bool = False

    def params(self, container: str, *, follow: bool = False) -> dict[str, str]:
        """The query of the call."""
        params = {"container": container, "timestamps": str(self.timestamps).lower()}
        if self.tail is not None:
            params["tailLines"] = str(self.tail)
        return {**params, "follow": "true"} if follow else params


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one container that has begun."""

    pod: str
    uid: str
    node: str
    container: str
    number: int  # how often it was restarted before


@dataclass(frozen=True, slots=True)
class LoggedPod:
    """A pod of an operation and the runs of its containers."""

    view: PodView
    operation: str
    created: str
    runs: tuple[Run, ...]


def parse_logged_pod(obj: Mapping[str, Any]) -> LoggedPod:
    """The pod, with the runs that have begun, init containers first."""
    view, status = parse_pod(obj), obj.get("status") or {}
    annotations = obj["metadata"].get("annotations") or {}
    node = annotations.get(ANNOTATION_NODE) or view.node
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    runs = tuple(
        Run(view.name, view.uid, node, one["name"], one.get("restartCount") or 0)
        for one in statuses
        if {"running", "terminated"} & set(one.get("state") or {})
    )
    created = obj["metadata"].get("creationTimestamp", "")
    return LoggedPod(view, annotations.get(ANNOTATION_NODE_OP, ""), created, runs)


async def show_logs(cluster: Cluster, screen: Screen, name: str, wanted: Wanted, *, follow: bool) -> Exit:
    """Print what was said; with `follow`, end with the operation and tell by the exit code how it ended."""
    operation = await find(cluster, name)
    if wanted.node is not None and operation.status.nodes and wanted.node not in operation.status.nodes:
        raise Trouble(
            f"{operation.label} has no node {wanted.node}; `kubectl kairos status {name}` lists them"
        )
    printer = _Printer(screen)
    if follow and not operation.final:
        return await _follow(cluster, printer, operation, wanted)
    listing = await cluster.list(PODS, operation.meta.namespace, label_selector=operation.pod_selector)
    pods = [parse_logged_pod(pod) for pod in listing.items]
    runs = [
        run
        for pod in sorted(pods, key=lambda pod: _order(pod, operation))
        for run in _of(pod, operation, wanted)
    ]
    for run in runs:
        await _whole(cluster, printer, operation, run, wanted)
    if not printer.lines:
        screen.warn(
            "Its containers have said nothing."
            if runs
            else "There is no pod of it that has run, or no longer."
        )
    return operation.exit_code if follow else Exit.DONE


def _of(pod: LoggedPod, operation: Operation, wanted: Wanted) -> list[Run]:
    """The runs of the pod that are asked for; a label may be the short form of two names."""
    if pod.operation and pod.operation != operation.meta.name:
        return []
    return [run for run in pod.runs if wanted.node in (None, run.node)]


def _order(pod: LoggedPod, operation: Operation) -> tuple[Any, ...]:
    node = pod.view.operation_node or pod.view.node
    record = operation.status.nodes.get(node)
    began = record.started_at.timestamp() if record and record.started_at else 0.0
    return (began, node, pod.created, pod.view.name)


async def _whole(cluster: Cluster, printer: _Printer, operation: Operation, run: Run, wanted: Wanted) -> None:
    try:
        async with _stream(cluster, operation, run, wanted.params(run.container)) as lines:
            async for line in lines:
                printer.line(run, line)
    except (NotFound, Invalid) as error:
        printer.remark(run, error.message)  # its pod has just gone, or the kubelet has no log any more


async def _follow(cluster: Cluster, printer: _Printer, operation: Operation, wanted: Wanted) -> Exit:
    source = Source(PODS, parse_logged_pod, label_selector=operation.pod_selector)
    own = operation_source(operation.resource, operation.meta.name)
    streams: dict[Run, asyncio.Task[None]] = {}
    async with followed(cluster, [own, source], operation.meta.namespace) as watched:
        try:
            async for _ in watched.changes():
                operations, pods = (store.values() for store in watched.stores)
                for run in (run for pod in pods for run in _of(pod, operation, wanted)):
                    if run not in streams:
                        streams[run] = asyncio.create_task(_live(cluster, printer, operation, run, wanted))
                if not operations:
                    raise Trouble(f"{operation.label} was deleted meanwhile")
                if operations[0].final:
                    await asyncio.wait(streams.values(), timeout=CONNECT_SECONDS) if streams else None
                    return Exit(operations[0].exit_code)
        finally:
            for task in streams.values():
                task.cancel()
            await asyncio.gather(*streams.values(), return_exceptions=True)
    raise AssertionError("changes never end by themselves")


async def _live(cluster: Cluster, printer: _Printer, operation: Operation, run: Run, wanted: Wanted) -> None:
    try:
        async with _stream(cluster, operation, run, wanted.params(run.container, follow=True)) as lines:
            async for line in lines:
                printer.line(run, line)
    except ApiError as error:
        printer.remark(run, error.message)


@asynccontextmanager
async def _stream(
    cluster: Cluster, operation: Operation, run: Run, params: Mapping[str, str]
) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of one run; raises the runtime's errors."""
    path = PODS.path(operation.meta.namespace, run.pod, "log")
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with cluster.api.exchange("GET", path, params=params, timeout=timeout) as response:
            if response.status != 200:
                raise from_status(response.status, await response.read(), response.headers)
            yield _lines(response.content.iter_any())
    except aiohttp.ClientPayloadError as error:
        # Its own words are about HTTP; to whoever reads along it is the node that went away, mostly by its reboot.
        raise Unreachable("the log broke off in the middle, as it does when the node reboots") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable(f"the log cannot be read: {error or type(error).__name__}") from error


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    tail = b""
    async for chunk in chunks:
        *lines, tail = (tail + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    if tail:
        yield tail.decode(errors="replace")


class _Printer:
    """Lines with their node and container, each node in its own colour on a terminal."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._colours: dict[str, str] = {}
        self.lines = 0

    def line(self, run: Run, text: str) -> None:
        self.lines += 1
        prefix = f"{run.node} {run.container} | "
        if not self._screen.lively:
            self._screen.show(prefix + text)
            return
        colour = self._colours.setdefault(run.node, COLOURS[len(self._colours) % len(COLOURS)])
        line = Text(prefix, style=colour)
        line.append(text, style="default")
        self._screen.console.print(line, soft_wrap=True)

    def remark(self, run: Run, text: str) -> None:
        self._screen.warn(f"{run.node} {run.container}: {text}")
