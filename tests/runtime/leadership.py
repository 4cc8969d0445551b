"""Replicas of the operator as far as leadership goes, over one fake lease, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, cast

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import LoopClock
from kairos_operator.runtime.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    NotLeader,
)
from kairos_operator.runtime.leader import LeaderElector


class Leases:
    """One lease, with optimistic concurrency. `fault` may raise, or wait, before and after the effect."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes = 0

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return cast(dict[str, Any], self.lease["spec"])


class Replica:
    """One replica: its view of the lease, which can hang or fail, its clock, and its elector."""

    def __init__(self, leases: Leases, name: str, seed: int, forebears: str = "") -> None:
        self.leases = leases
        self.name = name
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.fault: Callable[[str], Awaitable[None]] | None = None
        self.changes: list[bool] = []
        self.working = 0
        self.clock = Frozen(self)
        self.elector = LeaderElector(
            cast(Client, self),
            "ns",
            "lease",
            name,
            self.clock,
            on_change=self.changes.append,
            rng=random.Random(seed),
            forebears=forebears,
        )
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.elector.run(self.work))

    async def work(self) -> None:
        self.working += 1
        try:
            await asyncio.sleep(10_000)
        finally:
            self.working -= 1

    def may_write(self) -> bool:
        try:
            self.elector.check()
        except NotLeader:
            return False
        return True

    async def _pass(self, when: str) -> None:
        await self.thawed.wait()
        if self.fault is not None:
            await self.fault(when)
        await asyncio.sleep(0.05)

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        await self._pass("get")
        if self.leases.lease is None:
            raise NotFound(404, "NotFound", "no lease")
        return deepcopy(self.leases.lease)

    async def create(
        self, res: Resource, body: Mapping[str, Any], namespace: str | None = None
    ) -> dict[str, Any]:
        await self._pass("create")
        if self.leases.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", "taken")
        return self._store(body)

    async def replace(
        self, res: Resource, body: Mapping[str, Any], name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        await self._pass("replace")
        if self.leases.lease is None:
            raise NotFound(404, "NotFound", "no lease")
        if body["metadata"]["resourceVersion"] != self.leases.lease["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "changed in between")
        written = self._store(body)
        if self.fault is not None:
            await self.fault("replaced")
        return written

    def _store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.leases.version += 1
        self.leases.writes += 1
        self.leases.lease = deepcopy(dict(body))
        self.leases.lease["metadata"]["resourceVersion"] = str(self.leases.version)
        return deepcopy(self.leases.lease)


class Frozen(LoopClock):
    """A clock whose sleepers do not wake while the process is frozen; time itself goes on."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(datetime(2026, 1, 1, tzinfo=UTC))
        self._replica = replica

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await self._replica.thawed.wait()


def replicas(count: int) -> tuple[Leases, list[Replica]]:
    leases = Leases()
    return leases, [Replica(leases, f"r{number}", number) for number in range(count)]


async def until(condition: Callable[[], bool], seconds: float = 120) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not condition():
        assert loop.time() - start < seconds
        await asyncio.sleep(0.1)
    return loop.time() - start
