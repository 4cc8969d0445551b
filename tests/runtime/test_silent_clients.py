"""Clients of the probes and metrics that say nothing, or not enough: they do not stay connected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kairos_operator import connections
from kairos_operator.runtime import health
from kairos_operator.runtime.health import probe_app, serving

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT", 0.2)
    monkeypatch.setattr(health, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(health, "KEEP_ALIVE", 0.4)
    async with serving(probe_app({}, {}), "127.0.0.1", 0) as found:
        yield found


@pytest.mark.parametrize("said", [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_who_asks_nothing_is_cut_off(port: int, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /hea"])
async def test_who_has_asked_may_stay_for_a_while(port: int, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(2) == b"ok"
        await asyncio.sleep(0.3)
    writer.write(said)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_of_too_many_the_one_that_waited_longest_is_cut_off(port: int) -> None:
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(7)]
    async with asyncio.timeout(5):
        for reader, _ in clients[:2]:
            assert await reader.read() == b""
        for reader, writer in clients[2:]:
            writer.write(REQUEST)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    for _, writer in clients:
        writer.close()
