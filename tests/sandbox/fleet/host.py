"""What a pod needs of its node."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tests.sandbox.fleet.effects import NodeEffect, Program
from tests.sandbox.fleet.spec import NodeSpec
from tests.sandbox.fleet.steps import Steps

if TYPE_CHECKING:
    from tests.sandbox.fleet.container import Container
    from tests.sandbox.fleet.podrun import PodRun


class Host(Protocol):
    """The node as its pods see it."""

    spec: NodeSpec
    speed: float

    def choose(self, run: PodRun, container: Container) -> Program | Steps | str:
        """What the container does: a program to be run for real, a modelled one, or why it cannot start."""

    def emit(self, effect: NodeEffect) -> None: ...
    def note_start(self, run: PodRun, container: Container, now: datetime) -> None: ...
    def note_end(self, run: PodRun, container: Container, now: datetime) -> None: ...
    def note_phase(self, run: PodRun, now: datetime) -> None: ...
    def request_reboot(self, now: datetime) -> None: ...
