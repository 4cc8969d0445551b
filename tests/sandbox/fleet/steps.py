"""Modelled programs: what a container does, as a generator that the kubelet drives on its own clock.

A generator yields one step at a time and returns an `Exit`. It lives as long as its container; what must
survive goes to the node's disk or into the pod's annotations, as with real programs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from tests.sandbox.fleet.spec import Outcome


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after so many seconds (before the fleet's speed)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Annotate:
    """Go on when the pod's annotations have been stored."""

    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RebootNode:
    """The node goes down, and the program with it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a program."""

    code: int
    message: str = ""
    log: str = ""


Step = Sleep | Annotate | RebootNode
Steps = Generator[Step, None, Exit]
FOREVER = 10 * 365 * 86400.0


def play(outcome: Outcome, on_success: Callable[[], None] | None = None) -> Steps:
    """Does nothing for the time that the scenario says, and ends as it says."""
    yield Sleep(FOREVER if outcome.hangs else outcome.seconds)
    if outcome.exit_code == 0 and on_success is not None:
        on_success()
    return Exit(outcome.exit_code, outcome.message, outcome.log)
