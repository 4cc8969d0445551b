"""Leads until the own node is to be rebooted, and then gives way to another replica (`core.handover` says when).

It reads its own pod once, and the other pods of its kind only while a reboot of its own node is due. Whoever gave way
does not lead again in this process, which ends, to start anew as a candidate, if the reboot does not come or nobody
leads any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from kairos_operator.api.objects import NodeOp
from kairos_operator.api.replica import ReplicaView, parse_replica
from kairos_operator.api.resources import PODS
from kairos_operator.core.handover import heir, reboot_due
from kairos_operator.runtime.caches import FLYING, Caches
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, NotLeader
from kairos_operator.runtime.leader import LeaderElector

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # reads caches alone
ASK_SECONDS = 2.0  # while it asks the API server


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

        Raises NotLeader when the lease was lost, or was given away and there is no reason for that any more.
        """
        gave_way = ""

        async def work_until_due() -> None:
            nonlocal gave_way
            working, watching = asyncio.create_task(work()), asyncio.create_task(self.due(elector.note))
            try:
                await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    gave_way = elector.parting_note = watching.result()
                    stop()
                await working
            finally:
                working.cancel()
                watching.cancel()
                await asyncio.gather(working, watching, return_exceptions=True)

        await elector.run(work_until_due)
        if gave_way:
            raise NotLeader(f"gave way to another replica; {await self._over(elector, gave_way)}")

    async def _over(self, elector: LeaderElector, reboot: str) -> str:
        """Return once there is no reason any more to have given way, and which: the reboot is off, or nobody leads."""
        taken = False
        while self._reboot_due() == reboot:
            await self._clock.sleep(ASK_SECONDS)
            try:
                holder, unchanged = await elector.seen()
            except ApiError as error:
                log.debug("cannot read the lease now: %s", error)
                continue
            # The next leader has given the lease back, or nobody has cared for it as long as it lasts.
            if unchanged > elector.duration or (taken and not holder):
                return "no other leads any more"
            taken = taken or bool(holder)
        return "the own node does not reboot"

    async def due(self, past: str) -> str:
        """Return once this replica should give way, with the reboot that it gives way to.

        `past` is the reboot that somebody gave way to last: nobody does so for the same one again.
        """
        if not self._pod_name:
            await asyncio.Event().wait()
        while True:
            pause = LOOK_SECONDS
            try:
                reboot = await self._own_reboot()
                if reboot not in ("", past):
                    pause = ASK_SECONDS
                    if await self._has_heir():
                        return reboot
            except ApiError as error:
                log.debug("cannot look for another replica now: %s", error)
                pause = ASK_SECONDS
            await self._clock.sleep(pause)

    async def _own_reboot(self) -> str:
        if self._own is None:
            self._own = parse_replica(await self._client.get(PODS, self._pod_name, self._namespace))
        return self._reboot_due()

    def _reboot_due(self) -> str:
        node = self._caches.nodes.get(self._own.node) if self._own else None
        return reboot_due(node, self._flying(node.name)) if node is not None else ""

    def _flying(self, node: str) -> list[NodeOp]:
        return self._caches.node_ops.lookup(FLYING, node)

    async def _has_heir(self) -> bool:
        own = self._own
        assert own is not None  # else no reboot of its node is known
        if not own.labels:
            return False
        alike = ",".join(f"{name}={value}" for name, value in sorted(own.labels.items()))
        listing = await self._client.list(PODS, self._namespace, label_selector=alike)
        others = [parse_replica(item) for item in listing.items]
        found = heir(own, others, self._caches.nodes.get, self._flying)
        if found is not None:
            log.info(
                "giving way to another replica before the reboot of the own node", extra={"to": found.name}
            )
        return found is not None
