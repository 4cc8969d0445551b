"""What one run is: how large the cluster, how many nodes at once, how long everything takes by itself."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Self

from tests.sandbox.fleet import Agent, NodeSpec, Reboot, Release
from tests.sandbox.fleet.spec import release_of_image

UPGRADE_IMAGE = "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. Durations are those of the models, in seconds, divided by `speed`; all nodes are alike."""

    nodes: int = 20
    concurrency: int = 5
    other_pods: int = 0
    finished: int = 0
    """Operations on ten nodes each that are over when the operator starts."""
    real: bool = False
    skip: bool = False
    """Whether all nodes are up to date already, so that each is skipped after its preflight."""
    speed: float = 4.0
    agent_seconds: float = 1.0
    reboot_seconds: float = 2.0
    ready_seconds: float = 0.5
    start_seconds: float = 0.1
    heartbeats: bool = True
    """Whether the simulated kubelets renew their Leases: with 5,000 nodes that is 500 writes each second."""
    idle_seconds: float = 5.0
    """How long to look on before the upgrade and after it, to see that nothing is asked for."""
    python: str = ""
    """The operator's interpreter; "" for the one that runs this."""

    @property
    def title(self) -> str:
        """The run in a few words, good for a file's name."""
        where = "real" if self.real else "memory"
        skip = "-skip" if self.skip else ""
        return f"{where}-n{self.nodes}-c{self.concurrency}-p{self.other_pods}{skip}"

    def specs(self) -> list[NodeSpec]:
        """The nodes of the fleet; the first one is a control plane."""
        new = release_of_image(UPGRADE_IMAGE)
        release = new if self.skip and new else Release("v3.4.0")
        return [
            NodeSpec(
                f"node-{number:05}",
                release=release,
                control_plane=number == 0,
                agent=Agent(seconds=self.agent_seconds),
                reboot=Reboot(seconds=self.reboot_seconds, ready_after=self.ready_seconds),
                start_seconds=self.start_seconds,
            )
            for number in range(self.nodes)
        ]

    def manifest(self) -> dict[str, object]:
        """The NodeOpUpgrade."""
        return {
            "apiVersion": "operator.kairos.io/v1alpha1",
            "kind": "NodeOpUpgrade",
            "metadata": {"name": "bench", "namespace": "default"},
            "spec": {
                "image": UPGRADE_IMAGE,
                "nodeSelector": {"matchLabels": {"kairos.io/managed": "true"}},
                "concurrency": self.concurrency,
            },
        }

    def to_json(self) -> str:
        """The scenario as a word of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The scenario that `to_json` wrote."""
        return cls(**json.loads(text))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The scenario's flags; `--nodes` may have several numbers, each of which is a run of its own."""
    usual = Scenario()
    parser.add_argument("--nodes", type=_numbers, default=[usual.nodes], help="such as 10,100,1000")
    parser.add_argument(
        "--concurrency",
        type=int,
        default=usual.concurrency,
        help="nodes at once; 0 is all (default %(default)s)",
    )
    parser.add_argument(
        "--other-pods", type=int, default=0, help="finished pods of another owner on these nodes"
    )
    parser.add_argument("--finished", type=int, default=0, help="operations that are over already")
    parser.add_argument(
        "--real", action="store_true", help="on a real control plane instead of one in memory"
    )
    parser.add_argument("--skip", action="store_true", help="all nodes are up to date already")
    parser.add_argument("--speed", type=float, default=usual.speed, help="divides all simulated durations")
    parser.add_argument("--agent-seconds", type=float, default=usual.agent_seconds)
    parser.add_argument("--reboot-seconds", type=float, default=usual.reboot_seconds)
    parser.add_argument(
        "--no-heartbeats",
        dest="heartbeats",
        action="store_false",
        help="no node Leases, which nothing reads here: those of 5,000 nodes are 500 writes each second",
    )
    parser.add_argument("--idle-seconds", type=float, default=usual.idle_seconds)
    parser.add_argument(
        "--python",
        default="",
        help="the operator's interpreter, such as one with requirements.lock alone, as the image has it",
    )


def scenarios(args: argparse.Namespace) -> list[Scenario]:
    """The runs that the flags ask for."""
    return [
        Scenario(
            nodes=nodes,
            concurrency=args.concurrency,
            other_pods=args.other_pods,
            finished=args.finished,
            real=args.real,
            skip=args.skip,
            speed=args.speed,
            agent_seconds=args.agent_seconds,
            reboot_seconds=args.reboot_seconds,
            heartbeats=args.heartbeats,
            idle_seconds=args.idle_seconds,
            python=args.python,
        )
        for nodes in args.nodes
    ]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
