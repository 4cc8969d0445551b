"""A way to an API server whose connections fall silent at a moment, as when the machine behind them loses power."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Way:
    """Passes bytes on to `to`. After `lose_power` the connections up to then say nothing; new ones work."""

    def __init__(self, to: int) -> None:
        self.port = 0
        self.opened = 0
        self._to = to
        self._pumps: set[asyncio.Task[None]] = set()

    def lose_power(self) -> None:
        """The connections stay open and nothing comes any more."""
        for pump in self._pumps:
            pump.cancel()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.opened += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        for source, target in ((reader, back), (there, writer)):
            self._pumps.add(asyncio.create_task(_pump(source, target)))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


@asynccontextmanager
async def way_to(port: int) -> AsyncIterator[Way]:
    way = Way(port)
    server = await asyncio.start_server(way.pass_on, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        way.lose_power()
