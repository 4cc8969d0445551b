"""Leads until the own node is to be rebooted, and then gives way to another replica (`core.handover` says when).

It reads its own pod once, and the other pods of its kind only while a reboot of its own node is due. Whoever gave way
does not lead again in this process. If nobody leads any more, the process ends, to start anew as a candidate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from kairos_operator.api.cluster import ReplicaView, parse_replica
from kairos_operator.api.resources import PODS
from kairos_operator.core.handover import heir, reboot_due
from kairos_operator.runtime.caches import FLYING, Caches
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, NotLeader
from kairos_operator.runtime.leader import LeaderElector

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # reads caches alone, unless the reboot is due
AWAY_LOOK_SECONDS = 2.0  # after a refused read, and after giving way


class HandOver:
    """Gives way where the pod `namespace/pod_name` is this program's; without a `pod_name`, never."""

    def __init__(self, client: Client, caches: Caches, clock: Clock, namespace: str, pod_name: str) -> None:
        self._client = client
        self._caches = caches
        self._clock = clock
        self._namespace = namespace
        self._pod_name = pod_name
        self._own: ReplicaView | None = None

    async def lead(
        self, elector: LeaderElector, work: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], None]
    ) -> None:
        """Run `work` while leading; to give way, `stop` makes it end first. Returns when it ended of itself.

        Raises NotLeader when the lease was lost, or was given away and nobody has it.
        """
        gave_way = False

        async def work_until_due() -> None:
            nonlocal gave_way
            working, watching = asyncio.create_task(work()), asyncio.create_task(self.due(elector.note))
            try:
                await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    elector.parting_note = watching.result()
                    gave_way = True
                    stop()
                await working
            finally:
                working.cancel()
                watching.cancel()
                await asyncio.gather(working, watching, return_exceptions=True)

        await elector.run(work_until_due)
        if gave_way:
            await self._vacant(elector)
            raise NotLeader("gave way to another replica, and no other leads any more")

    async def _vacant(self, elector: LeaderElector) -> None:
        """Return once the next leader has given the lease back, or nobody has cared for it as long as it lasts."""
        taken = False
        while True:
            await self._clock.sleep(AWAY_LOOK_SECONDS)
            try:
                holder, unchanged = await elector.seen()
            except ApiError as error:
                log.debug("cannot read the lease now: %s", error)
                continue
            if unchanged > elector.duration or (taken and not holder):
                return
            taken = taken or bool(holder)

    async def due(self, past: str) -> str:
        """Return once this replica should give way, with the reboot that it gives way to.

        `past` is the reboot that somebody gave way to last: nobody does so for the same one again.
        """
        if not self._pod_name:
            await asyncio.Event().wait()
        while True:
            try:
                reboot, pause = await self._look(past), LOOK_SECONDS
            except ApiError as error:
                log.debug("cannot look for another replica now: %s", error)
                reboot, pause = "", AWAY_LOOK_SECONDS
            if reboot:
                return reboot
            await self._clock.sleep(pause)

    async def _look(self, past: str) -> str:
        if self._own is None:
            self._own = parse_replica(await self._client.get(PODS, self._pod_name, self._namespace))
        own = self._own
        node, index = self._caches.nodes.get(own.node), self._caches.node_ops
        reboot = reboot_due(node, index.lookup(FLYING, own.node)) if node is not None else ""
        if not reboot or reboot == past or not own.labels:
            return ""
        alike = ",".join(f"{name}={value}" for name, value in sorted(own.labels.items()))
        listing = await self._client.list(PODS, self._namespace, label_selector=alike)
        others = [parse_replica(item) for item in listing.items]
        found = heir(own, others, self._caches.nodes.get, lambda name: index.lookup(FLYING, name))
        if found is None:
            return ""
        log.info("giving way to another replica before the reboot of the own node", extra={"to": found.name})
        return reboot
