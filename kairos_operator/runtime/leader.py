"""Leader election over a Lease, by the rules of client-go.

- The holder renews every `retry_period`; whoever saw no change of the lease for its whole duration, by his own
  monotonic clock, may take it. Clocks of different machines are never compared.
- The fence (`check`) counts from *before* the last successful renewal was sent and ends at `renew_deadline`,
  well before others may take over: a process that was frozen, or whose renewals hang, cannot write when it
  wakes up, even before it has noticed anything.
- On the way out, the work is stopped first and then the lease given back, so another replica goes on at once.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from kairos_operator.api.resources import LEASES
from kairos_operator.runtime import lease
from kairos_operator.runtime.client import Client, Object
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import AlreadyExists, ApiError, Conflict, NotFound, NotLeader

log = logging.getLogger(__name__)

JITTER = 1.2  # candidates wait up to so many retry periods more, so that they do not all try at once


class LeaderElector:
    """Runs one coroutine only while this replica holds the lease `namespace/name`.

    `identity` must be unique to this process (a Pod's name alone is not: its container may restart). Times
    are in seconds. `client` must not be fenced by this very elector. `on_change` is told of each change.
    Identities that begin with `forebears`, if it is not empty, are surely those of processes that this one took the
    place of, and that are gone: their lease is taken at once.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        *,
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        on_change: Callable[[bool], None] | None = None,
        rng: random.Random | None = None,
        forebears: str = "",
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self.duration = lease_duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._on_change = on_change
        self._rng = rng or random.Random()
        self._forebears = forebears
        self._leading = False
        self._fence_until = float("-inf")
        self._lease: Object | None = None  # as last seen
        self._seen: object = None  # its spec, to notice a change
        self._seen_at = 0.0
        self._said = ""
        self.parting_note = ""  # to be left on the lease when it is given back

    @property
    def note(self) -> str:
        """What the last replica that gave way left on the lease, as last seen."""
        return lease.note(self._lease)

    async def seen(self) -> tuple[str, float]:
        """Who holds the lease now, and for how many seconds it has not been seen to change. Raises ApiError."""
        await self._look()
        return lease.holder(self._lease), self._clock.monotonic() - self._seen_at

    @property
    def leading(self) -> bool:
        """This replica surely holds the lease."""
        return self._leading and self._clock.monotonic() < self._fence_until

    def check(self) -> None:
        """The fence: raises NotLeader unless this replica surely holds the lease."""
        if not self.leading:
            raise NotLeader(f"{self._identity} does not surely hold the lease {self._namespace}/{self._name}")

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the lease, then run `work` while holding it; return when it returns.

        Raises NotLeader when the lease was lost (the caller ends the process), and what `work` raises.
        When cancelled, `work` is cancelled and awaited before the lease is given back.
        """
        await self._acquire()
        self._switch(True)
        working = asyncio.create_task(work())
        renewing = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost = renewing.done()
            if lost:
                self._switch(False)  # nothing more is written while the work winds down
            await _stop(working)
            await _stop(renewing)
            held = self.leading
            self._switch(False)
            if held:
                await self._release()
        if not working.cancelled():
            working.result()
        if lost:
            renewing.result()
            raise NotLeader(f"lost the lease {self._namespace}/{self._name}")

    async def _acquire(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._renew_deadline):
                    if await self._try():
                        return
            except (ApiError, TimeoutError) as error:
                self._complain(error)
            await self._clock.sleep(self._retry_period * (1 + JITTER * self._rng.random()))

    async def _keep(self) -> None:
        """Renew for as long as it works; returns when the lease is lost."""
        while True:
            left = self._fence_until - self._clock.monotonic()
            await self._clock.sleep(max(0.0, min(self._retry_period, left)))
            left = self._fence_until - self._clock.monotonic()
            if left <= 0:
                log.error("lost the lease: it could not be renewed in time")
                return
            try:
                # half of the time, so that one call that hangs leaves time for another
                async with asyncio.timeout(min(left, self._renew_deadline / 2)):
                    if not await self._try():
                        log.error(
                            "lost the lease: another replica holds it",
                            extra={"holder": lease.holder(self._lease)},
                        )
                        return
            except (ApiError, TimeoutError) as error:
                self._complain(error)

    async def _try(self) -> bool:
        """Take or renew the lease once, if it is ours or free; True if it is ours now."""
        if not self._leading or self._lease is None:
            await self._look()
        while True:
            if self._lease is not None and not self._may_take():
                return False
            try:
                await self._write()
                return True
            except (Conflict, AlreadyExists, NotFound) as error:
                if self._lease is None and isinstance(error, NotFound):
                    raise  # what is not there is the namespace
                await self._look()
                if self._lease is not None and lease.holder(self._lease) != self._identity:
                    return False  # somebody was quicker; next time, if he gives it up

    async def _look(self) -> None:
        try:
            found = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            self._lease = self._seen = None
            return
        self._lease = found
        spec = found.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = copy.deepcopy(spec), self._clock.monotonic()

    def _may_take(self) -> bool:
        holder = lease.holder(self._lease)
        if holder in ("", self._identity) or (self._forebears and holder.startswith(self._forebears)):
            return True
        return self._clock.monotonic() > self._seen_at + lease.lasts(self._lease, self.duration)

    async def _write(self) -> None:
        sent = self._clock.monotonic()
        old = self._lease or lease.blank(self._name, self._namespace)
        renewed = lease.taken(old, self._identity, self.duration, self._clock.now())
        if self._lease is None:
            written = await self._client.create(LEASES, renewed, self._namespace)
        else:
            written = await self._client.replace(LEASES, renewed, self._name, self._namespace)
        self._lease, self._seen, self._seen_at = written, written.get("spec"), sent
        self._fence_until = sent + self._renew_deadline
        self._said = ""

    async def _release(self) -> None:
        """Give the lease back. What fails is only said: the lease then runs out by itself."""
        try:
            async with asyncio.timeout(self._renew_deadline / 2):
                await self._look()  # a renewal that was cut short may have gone through
                if self._lease is None or lease.holder(self._lease) != self._identity:
                    return
                free = lease.given_back(self._lease, self.parting_note, self._clock.now())
                await self._client.replace(LEASES, free, self._name, self._namespace)
        except (ApiError, TimeoutError) as error:
            self._complain(error)

    def _switch(self, leading: bool) -> None:
        if self._leading == leading:
            return
        self._leading = leading
        log.info("leading now" if leading else "not leading any more", extra={"identity": self._identity})
        if self._on_change is not None:
            self._on_change(leading)

    def _complain(self, error: ApiError | TimeoutError) -> None:
        said = str(error) or "no answer in time"
        if said != self._said:
            log.warning("cannot read or write the lease for now, and will keep trying: %s", said)
        self._said = said


async def _stop(task: asyncio.Task[None]) -> None:
    """Cancel the task and wait for its end; what it raises is looked at elsewhere."""
    task.cancel()
    await asyncio.wait({task})
