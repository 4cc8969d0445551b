"""What the demo can be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from tests.sandbox.demo import roster

FEWEST, MOST = 2, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of the demo; the defaults are the demo of the README."""

    nodes: int = 6
    concurrency: int = 1
    fail: str = ""
    """The node whose new system does not start, or nothing."""
    block: str = ""
    """The node whose drain a budget blocks for a while, or nothing."""
    keep: bool = False
    real: bool = False
    speed: float = 5.0
    """Seconds of the simulated nodes' time in one second."""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; one that cannot be used ends the program with code 2, and says why."""
    parser = argparse.ArgumentParser(
        prog="demo", description="Watch the operator upgrade the simulated fleet of a local cluster."
    )
    default = Options()
    parser.add_argument(
        "--nodes", type=int, default=default.nodes, metavar="N", help="one control plane and N-1 workers (6)"
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=default.concurrency,
        metavar="N",
        help="nodes at once, 0 for all (1)",
    )
    parser.add_argument(
        "--fail", default="", metavar="NODE", help="the new system does not start on this node"
    )
    parser.add_argument(
        "--block",
        default="",
        metavar="NODE",
        help="a PodDisruptionBudget blocks this node's drain for a while",
    )
    parser.add_argument("--keep", action="store_true", help="stay up for kubectl afterwards, until Ctrl-C")
    parser.add_argument("--real", action="store_true", help="use a real Kubernetes control plane")
    parser.add_argument(
        "--speed", type=float, default=default.speed, metavar="X", help="how fast the nodes' time runs (5)"
    )
    options = Options(**vars(parser.parse_args(arguments)))
    fault = _fault(options)
    if fault:
        parser.error(fault)
    return options


def _fault(options: Options) -> str:
    if not FEWEST <= options.nodes <= MOST:
        return f"--nodes {options.nodes}: give {FEWEST} to {MOST}"
    if options.concurrency < 0:
        return f"--concurrency {options.concurrency}: give 0 (all at once) or more"
    if not 0.1 <= options.speed <= 1000:
        return f"--speed {options.speed:g}: give 0.1 to 1000"
    names = roster.names(options.nodes)
    for flag, node in (("--fail", options.fail), ("--block", options.block)):
        if node and node not in names:
            return f"{flag} {node}: there is no such node; there are {', '.join(names)}"
    if options.fail == roster.up_to_date(options.nodes):
        return (
            f"--fail {options.fail}: that node runs the new version already, so it is skipped and cannot fail"
        )
    if options.block == roster.up_to_date(options.nodes):
        return f"--block {options.block}: that node runs the new version already, so it is not drained"
    return ""
