"""The queue of keys, its delays and its back-off, under virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest

from kairos_operator.runtime.backoff import Backoff, TokenBucket
from kairos_operator.runtime.queue import Queue, QueueClosed
from tests.runtime.virtual import run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_key_that_waits_is_not_added_twice() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        for key in ("a", "b", "a"):
            queue.add(key)
        assert len(queue) == 2
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    run(main)


def test_a_key_in_work_is_never_given_to_a_second_worker_and_comes_again_when_done() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        other = asyncio.create_task(queue.get())
        await asyncio.sleep(5)
        assert not other.done()
        assert queue.working == 2
        queue.done("a")
        assert await other == "a"
        queue.done("a")
        queue.done("b")
        assert queue.idle

    run(main)


def test_many_workers_look_at_each_key_one_at_a_time() -> None:
    async def main() -> None:
        queue: Queue[int] = Queue()
        rng = random.Random(7)
        busy: set[int] = set()
        looks = dict.fromkeys(range(5), 0)

        async def worker() -> None:
            while True:
                key = await queue.get()
                assert key not in busy
                busy.add(key)
                looks[key] += 1
                await asyncio.sleep(rng.random())
                busy.discard(key)
                queue.done(key)

        workers = [asyncio.create_task(worker()) for _ in range(4)]
        for _ in range(500):
            queue.add(rng.randrange(5))
            await asyncio.sleep(rng.random() / 10)
        await asyncio.sleep(20)
        assert queue.idle
        assert all(looks.values())
        queue.close()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        assert [type(end) for end in ends] == [QueueClosed] * 4

    run(main)


@pytest.mark.parametrize("delays", [(10, 3), (3, 10)])
def test_of_several_delays_the_earliest_counts(delays: tuple[float, ...]) -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        start = now()
        for delay in delays:
            queue.add_after("a", delay)
        assert await queue.get() == "a"
        assert now() - start == 3
        queue.done("a")
        await asyncio.sleep(60)
        assert queue.idle

    run(main)


def test_failures_wait_longer_and_longer_until_forgotten() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue(Backoff(1, 8, jitter=0))
        waited = []
        for _ in range(5):
            start = now()
            queue.add_rate_limited("a")
            queue.done(await queue.get())
            waited.append(now() - start)
        assert waited == [1, 2, 4, 8, 8]
        assert queue.failures("a") == 5
        queue.forget("a")
        assert queue.add_rate_limited("a") == 1
        assert queue.add_rate_limited("a", at_least=30) == 30

    run(main)


def test_a_worker_that_is_cancelled_leaves_its_turn_to_another() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        queue.add("a")  # wakes the first, which is cancelled before it runs
        first.cancel()
        assert await second == "a"

    run(main)


def test_a_closed_queue_drops_everything() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        queue.add_after("b", 1)
        queue.close()
        queue.add("c")
        queue.add_after("c", 1)
        await asyncio.sleep(5)
        assert len(queue) == 0
        with pytest.raises(QueueClosed):
            await queue.get()

    run(main)


def test_the_queue_tells_how_long_a_key_waited() -> None:
    async def main() -> None:
        told: list[float] = []
        queue: Queue[str] = Queue(on_start=told.append)
        queue.add("a")
        await asyncio.sleep(2)
        await queue.get()
        assert told == [2]

    run(main)


def test_back_off_stays_within_its_bounds_and_keys_apart() -> None:
    backoff = Backoff(1, 60, jitter=0.5, rng=random.Random(1))
    delays = [backoff.delay("a") for _ in range(2000)]
    assert all(0.5 <= delay <= 60 for delay in delays)
    assert all(delay >= 30 for delay in delays[10:])
    assert len(set(delays[10:])) > 1000  # spread, so that replicas do not come back together
    assert backoff.delay("b") <= 1


def test_a_token_bucket_lets_a_burst_through_and_then_a_trickle() -> None:
    bucket = TokenBucket(3, 0.5)
    assert [bucket.take(100) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(102), bucket.take(102)] == [True, False]
    assert [bucket.take(10_000) for _ in range(4)] == [True, True, True, False]
