"""Many large bodies at once: memory stays within bounds, and reviews of usual size are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import webhooks.server
from tests.waiting import eventually
from tests.webhooks.objects import node_op, review
from tests.webhooks.serving import VALIDATE, Served, post, serving

BUDGET = 2**21
LARGE = review(node_op(command=["x" * 1000] * 500))


@pytest.fixture(autouse=True)
def _budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks.server, "MAX_BODIES", BUDGET)


@asynccontextmanager
async def begun(served: Served, size: int) -> AsyncIterator[asyncio.StreamReader]:
    """A request whose body of four times the size has come as far as that, if it could."""
    reader, writer = await served.open()
    head = f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: {size * 4}\r\n\r\n"
    writer.write(head.encode() + b" " * size)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def large_ones_pass(served: Served) -> bool:
    return (await post(served, LARGE))[0] == 200


async def test_more_than_the_budget_is_refused_and_small_reviews_are_answered() -> None:
    async with serving() as served:
        async with AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(begun(served, BUDGET // 2)) for _ in range(3)]
            reading = [asyncio.create_task(reader.read()) for reader in readers]
            (first, *_), _ = await asyncio.wait(reading, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert first.result().startswith(b"HTTP/1.1 503 ")
            assert b"large reviews" in first.result()
            assert (await post(served, review(node_op())))[0] == 200
            for each in reading:
                each.cancel()
        await eventually(lambda: large_ones_pass(served))


async def test_what_was_given_up_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the client, by the time, by its size, and at its end."""
    async with serving() as served:
        for _ in range(4):
            async with begun(served, BUDGET // 2):
                await asyncio.sleep(0.05)
        monkeypatch.setattr(webhooks.server, "BODY_TIMEOUT", 0.1)
        for _ in range(4):
            async with begun(served, BUDGET // 2) as reader:
                assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 408 ")
        monkeypatch.setattr(webhooks.server, "BODY_TIMEOUT", 10.0)
        monkeypatch.setattr(webhooks.server, "MAX_BODY", BUDGET // 2)
        for _ in range(4):
            async with served.session.post(served.url(), data=b" " * (BUDGET // 4 * 3)) as answer:
                assert answer.status == 413
        for _ in range(8):
            await eventually(lambda: large_ones_pass(served))


async def test_many_small_bodies_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks.server, "MAX_BODIES", 1000)
    size = webhooks.server.SMALL_BODY // 8
    async with serving() as served, AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(begun(served, size))
        assert (await post(served, review(node_op(command=["x" * size]))))[0] == 200
