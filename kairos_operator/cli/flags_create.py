"""The flags that `upgrade` and `run` share, and how an operation is made from what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from kairos_operator.api.resources import Resource
from kairos_operator.cli.connection import Access, Cluster
from kairos_operator.cli.create import DryRun, body_of, create, hostnames_of, imagine
from kairos_operator.cli.durations import parse_seconds
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.flags import ended, perform
from kairos_operator.cli.screen import Output, Screen, parse_output
from kairos_operator.cli.selector import among, parse_selector, with_requirements
from kairos_operator.cli.status import watch_one

WHICH, WORK, DRAIN, CHECKS = "Which nodes", "What happens to a node", "Draining", "Checks"

NewName = Annotated[
    str | None, typer.Option("--name", help="Its name; without one, the API server makes one up.")
]
Selector = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", help="Nodes with these labels; all nodes without.", rich_help_panel=WHICH
    ),
]
Nodes = Annotated[
    list[str] | None, typer.Option("--node", help="This node; may be given again.", rich_help_panel=WHICH)
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", "-c", min=0, help="Nodes at once; 0 is all.", rich_help_panel=WHICH),
]
StopOnFailure = Annotated[
    bool | None,
    typer.Option("--stop-on-failure", help="Start no further node once one failed.", rich_help_panel=WHICH),
]
PullSecrets = Annotated[
    list[str] | None,
    typer.Option("--image-pull-secret", help="Secret to pull images with.", rich_help_panel=WORK),
]
UncordonOnFailure = Annotated[
    bool | None,
    typer.Option("--uncordon-on-failure", help="Lift the cordon on a failed node.", rich_help_panel=WORK),
]
JobTimeout = Annotated[
    str | None,
    typer.Option("--job-timeout", help="For the Job on one node, such as 45m.", rich_help_panel=WORK),
]
RebootTimeout = Annotated[
    str | None,
    typer.Option("--reboot-timeout", help="For a node to be back, such as 30m.", rich_help_panel=WORK),
]


@dataclass(frozen=True, slots=True)
class Making:
    """What becomes of the object that the flags describe."""

    access: Access
    name: str | None
    dry_run: DryRun
    output: str | None
    watch: bool
    timeout: str | None

    def go(
        self,
        resource: Resource,
        prefix: str,
        spec: Mapping[str, Any],
        label_selector: str | None,
        nodes: Sequence[str],
    ) -> None:
        """Create it, or only look at it, and end with the exit code."""
        screen = Screen()
        ended(screen, lambda: self._made(screen, resource, prefix, spec, label_selector, nodes))

    def _made(
        self,
        screen: Screen,
        resource: Resource,
        prefix: str,
        spec: Mapping[str, Any],
        label_selector: str | None,
        nodes: Sequence[str],
    ) -> Exit:
        output, seconds = parse_output(self.output), parse_timeout(self.timeout)
        if self.watch and (output is not None or self.dry_run is not DryRun.NONE):
            raise Trouble("--watch has nothing to show with -o or --dry-run; leave one out", Exit.USAGE)
        selector = parse_selector(label_selector) if label_selector is not None else None
        if "" in nodes:
            raise Trouble("--node has no name; leave it out for every node that -l selects", Exit.USAGE)
        imagined = self.dry_run is DryRun.CLIENT
        if nodes:
            names = list(nodes) if imagined else asyncio.run(hostnames_of(self.access, nodes))
            selector = with_requirements(selector, among(names))
        body = body_of(
            resource,
            {**in_seconds(spec), "nodeSelector": selector},
            name=self.name,
            prefix=prefix,
            namespace=self.access.namespace,
        )
        if imagined:
            return imagine(screen, resource, body, self.access, output)

        async def work(cluster: Cluster, screen: Screen) -> Exit:
            return await self._sent(cluster, screen, resource, body, output, seconds)

        return perform(self.access, work, screen)

    async def _sent(
        self,
        cluster: Cluster,
        screen: Screen,
        resource: Resource,
        body: Mapping[str, Any],
        output: Output | None,
        seconds: float | None,
    ) -> Exit:
        operation = await create(cluster, screen, resource, body, output, dry_run=self.dry_run)
        if self.watch:
            return await watch_one(cluster, screen, operation, seconds, each_node=False)
        return Exit.DONE


def parse_timeout(text: str | None) -> float | None:
    """The seconds of a duration flag, None where it was not given."""
    return None if text is None else parse_seconds(text)


def secrets(names: Sequence[str] | None) -> list[dict[str, str]] | None:
    """Pull secrets as the API writes them."""
    return [{"name": name} for name in names] if names else None


def in_seconds(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with durations such as `30m` as the seconds that the API takes."""
    return {
        field: in_seconds(value)
        if isinstance(value, Mapping)
        else parse_seconds(value)
        if field.endswith("Seconds") and isinstance(value, str)
        else value
        for field, value in spec.items()
    }


def check(script: str | None, image: str | None, timeout: str | None) -> dict[str, Any]:
    """A preflight or postflight that runs a shell script."""
    command = None if script is None else ["sh", "-c", script]
    return {"command": command, "image": image, "activeDeadlineSeconds": timeout}
