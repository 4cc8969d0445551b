"""An event loop whose time is virtual: when everybody waits, it jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


class _Jumping(selectors.SelectSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits, and for nothing: a deadlock")
        self.loop.offset += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at 1,000 s and passes only when nothing is left to do. No I/O, no threads."""

    def __init__(self) -> None:
        self.offset = 1000.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.offset


def run(main: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a test under virtual time; whatever it leaves running is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
