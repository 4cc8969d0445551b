"""Leader election: replicas on one lease, under virtual time. Never two that may write at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import LoopClock
from kairos_operator.runtime.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    NotLeader,
    ServerError,
    Unreachable,
)
from kairos_operator.runtime.leader import LeaderElector
from tests.runtime.virtual import run


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

    def __init__(self, leases: Leases, name: str, seed: int) -> None:
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


def test_one_of_two_leads_and_keeps_leading() -> None:
    async def main() -> None:
        leases, (a, b) = replicas(2)
        a.start()
        await until(a.may_write)
        b.start()
        for _ in range(600):
            await asyncio.sleep(0.1)
            assert a.may_write()
            assert not b.may_write()
        assert (a.working, b.working) == (1, 0)
        assert leases.spec["holderIdentity"] == "r0"
        assert leases.spec["leaseTransitions"] == 0
        assert leases.writes > 20

    run(main)


def test_a_frozen_leader_cannot_write_when_it_wakes_and_gives_up() -> None:
    async def main() -> None:
        _, (a, b) = replicas(2)
        a.start()
        await until(a.may_write)
        b.start()
        await asyncio.sleep(5)
        a.thawed.clear()
        took = await until(lambda: b.may_write() and b.working == 1)
        assert 12 < took < 25  # not before the lease ran out
        assert not a.may_write()  # although it has not noticed anything: its work still runs
        assert a.working == 1
        a.thawed.set()
        assert a.task is not None
        with pytest.raises(NotLeader):
            await a.task
        assert a.changes == [True, False]
        assert (a.working, b.working) == (0, 1)

    run(main)


def test_the_lease_is_given_back_only_after_the_work_has_ended_and_taken_over_at_once() -> None:
    async def main() -> None:
        leases, (a, b) = replicas(2)

        async def slow_end() -> None:
            try:
                await asyncio.sleep(10_000)
            finally:
                await asyncio.sleep(20)  # longer than the lease lasts: it is renewed meanwhile
                a.elector.check()
                assert leases.spec["holderIdentity"] == "r0"

        a.task = asyncio.create_task(a.elector.run(slow_end))
        await until(a.may_write)
        b.start()
        await asyncio.sleep(3)
        a.task.cancel()
        with suppress(asyncio.CancelledError):
            await a.task
        assert not a.may_write()
        assert leases.spec["holderIdentity"] == ""
        assert await until(b.may_write) < 5
        assert leases.spec["leaseTransitions"] == 1

    run(main)


def test_the_lease_is_given_back_even_when_a_renewal_was_cut_after_its_effect() -> None:
    async def main() -> None:
        leases, (a,) = replicas(1)
        a.start()
        await until(a.may_write)
        reached = asyncio.Event()

        async def hang(when: str) -> None:
            if when == "replaced" and not reached.is_set():
                reached.set()
                await asyncio.sleep(10_000)

        a.fault = hang
        await reached.wait()
        assert a.task is not None
        a.task.cancel()
        with suppress(asyncio.CancelledError):
            await a.task
        assert leases.spec["holderIdentity"] == ""

    run(main)


@pytest.mark.parametrize("error", [ServerError(500, "x", "etcd"), Unreachable("cut")])
def test_short_faults_are_survived(error: Exception) -> None:
    async def main() -> None:
        _, (a,) = replicas(1)
        a.start()
        await until(a.may_write)
        loop = asyncio.get_running_loop()

        async def fault(when: str) -> None:
            window, second = divmod(loop.time(), 15)
            if second < 5 and when == ("replaced" if window % 2 else "replace"):
                raise error  # after the effect, or before it

        a.fault = fault
        for _ in range(1000):
            await asyncio.sleep(0.1)
            assert a.may_write()

    run(main)


def test_a_leader_that_cannot_renew_stops_before_another_may_take_over() -> None:
    async def main() -> None:
        _, (a, b) = replicas(2)
        a.start()
        await until(a.may_write)
        b.start()

        async def hang(_: str) -> None:
            await asyncio.sleep(10_000)

        a.fault = hang
        assert a.task is not None
        ended = await until(a.task.done)
        assert ended < 12
        assert not b.may_write()
        with pytest.raises(NotLeader):
            a.task.result()
        assert await until(b.may_write) > 1

    run(main)


def test_somebody_elses_annotation_and_even_a_deletion_do_not_end_the_lead() -> None:
    async def main() -> None:
        leases, (a,) = replicas(1)
        a.start()
        await until(a.may_write)
        assert leases.lease is not None
        leases.version += 1
        leases.lease["metadata"] |= {"resourceVersion": str(leases.version), "annotations": {"x": "y"}}
        await asyncio.sleep(30)
        assert a.may_write()
        assert leases.lease["metadata"]["annotations"] == {"x": "y"}
        leases.lease = None
        await asyncio.sleep(30)
        assert a.may_write()

    run(main)


def test_work_that_ends_or_fails_gives_the_lease_back() -> None:
    async def main() -> None:
        leases, (a,) = replicas(1)

        async def broken() -> None:
            await asyncio.sleep(1)
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            await a.elector.run(broken)
        assert leases.spec["holderIdentity"] == ""
        await a.elector.run(lambda: asyncio.sleep(1))
        assert a.changes == [True, False, True, False]

    run(main)


@pytest.mark.parametrize("seed", range(20))
def test_never_two_that_may_write_whatever_freezes_and_fails(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        _, crew = replicas(3)

        async def fault(_: str) -> None:
            chance = rng.random()
            if chance < 0.1:
                raise Unreachable("cut")
            if chance < 0.2:
                await asyncio.sleep(rng.random() * 12)

        async def revive(replica: Replica) -> None:
            while True:
                with suppress(NotLeader):
                    await replica.elector.run(replica.work)
                await asyncio.sleep(rng.random() * 5)

        for replica in crew:
            replica.fault = fault
            replica.task = asyncio.create_task(revive(replica))
        led = set()
        for _ in range(3000):
            await asyncio.sleep(0.1)
            leaders = [replica.name for replica in crew if replica.may_write()]
            assert len(leaders) <= 1
            led.update(leaders)
            victim = rng.choice(crew)
            if rng.random() < 0.01:
                victim.thawed.clear()
                asyncio.get_running_loop().call_later(rng.random() * 60, victim.thawed.set)
        assert len(led) > 1

    run(main)
