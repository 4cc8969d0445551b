"""Carries chains of actions out beside the looks at their operation; `chains` has the rules."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from kairos_operator.runtime.chains import Chain, Chains, Do
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import NotLeader
from kairos_operator.runtime.news import Key
from kairos_operator.runtime.queue import Queue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Carrier:
    """Has the chains of an operation carried out by tasks of `group`, so many of them `at_once`.

    What comes of a chain goes into the queue: when to look again. NotLeader ends the group.
    """

    group: asyncio.TaskGroup
    queue: Queue[Key]
    clock: Clock
    at_once: int

    def begin(self, key: Key, chains: Chains, chain: Chain, do: Do) -> None:
        """Have a chain carried out while the operation is looked at again."""
        if chains.add(chain, do, self.clock.monotonic()) and chains.workers < self.at_once:
            chains.workers += 1
            self.group.create_task(self._carry_out(key, chains))

    async def _carry_out(self, key: Key, chains: Chains) -> None:
        try:
            while (turn := chains.next(self.clock.monotonic())) is not None:
                chain, do = turn
                try:
                    again = 0.0 if do is None else await self._done(key, do)
                finally:
                    if chains.done(chain):
                        self.queue.add(key)
                if again is not None:
                    self.queue.add_after(key, again)
        finally:
            chains.workers -= 1

    async def _done(self, key: Key, do: Do) -> float | None:
        try:
            return await do()
        except NotLeader:
            self.queue.close()
            raise
        except Exception:  # as in a look: one bug must not stop the operations of all others
            wait = self.queue.add_rate_limited(key)
            log.exception("a bug; looking again in %.1f s", wait, extra={"object": key.path})
            return None
