"""Leader election: replicas on one lease, under virtual time. Never two that may write at once."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from kairos_operator.runtime.errors import (
    NotLeader,
    ServerError,
    Unreachable,
)
from tests.runtime.leadership import Replica, replicas, until
from tests.runtime.virtual import run


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


@pytest.mark.parametrize(
    ("forebears", "seconds"), [("pod_uid_", (0, 2)), ("pod_other_", (12, 25)), ("", (12, 25))]
)
def test_the_next_process_of_the_same_pod_takes_over_at_once(
    forebears: str, seconds: tuple[float, float]
) -> None:
    async def main() -> None:
        leases, _ = replicas(0)
        dead = Replica(leases, "pod_uid_1", 1)
        dead.start()
        await until(dead.may_write)
        dead.fault = lost  # as the node goes down: nothing is given back
        assert dead.task is not None
        dead.task.cancel()
        await asyncio.gather(dead.task, return_exceptions=True)
        assert leases.spec["holderIdentity"] == "pod_uid_1"
        again = Replica(leases, "pod_uid_2", 2, forebears)
        again.start()
        took = await until(again.may_write)
        assert seconds[0] <= took < seconds[1]

    async def lost(_: str) -> None:
        raise Unreachable("gone")

    run(main)
