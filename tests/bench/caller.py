"""Sends one and the same review over a few open connections, with as little work of its own as it can.

aiohttp's client costs more than the server that is to be measured, so this one speaks just as much HTTP as that
server's answers need. An answer counts only if it is a 200 that allows the review.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LENGTH = b"content-length: "
_ALLOWED = b'"allowed":true'


@dataclass(slots=True)
class Answers:
    """What came of the reviews."""

    seconds: list[float] = field(default_factory=list)
    """From the moment at which a review was due to its answer; in a flood, from sending it."""
    failures: list[str] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """One review at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """The answer to come, head and body."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and self._answer is not None and len(body) >= _length(head):
            answer, self._received = self._received, b""
            if not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer"))

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


def _length(head: bytes) -> int:
    """What the head says of the body's length."""
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    return int(lowered[at + len(_LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0


@dataclass(slots=True)
class Caller:
    """Asks one URL the same thing again and again; a connection that is lost is opened again."""

    request: bytes
    opened: Callable[[], Awaitable[_Connection]]
    idle: asyncio.Queue[_Connection] = field(default_factory=asyncio.Queue)
    connections: int = 0

    async def open(self, connections: int) -> None:
        """Opens so many connections. Raises OSError."""
        for _ in range(connections):
            self.idle.put_nowait(await self.opened())
        self.connections = connections

    def close(self) -> None:
        """Closes the connections, of which none is in use."""
        while not self.idle.empty():
            self.idle.get_nowait().close()

    async def steady(self, rate: float, seconds: float, over: Callable[[], bool] | None = None) -> Answers:
        """Asks `rate` times a second, whether or not what went before is answered; what is late counts in full.

        `over` ends it before its time.
        """
        loop, found = asyncio.get_running_loop(), Answers()
        begun, count = loop.time(), int(rate * seconds)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, begun + number / rate - loop.time()))
                if over is not None and over():
                    break
                group.create_task(self._ask(loop.time(), found))
        return found

    async def flood(self, seconds: float) -> Answers:
        """Asks over all connections as fast as there are answers."""
        loop, found = asyncio.get_running_loop(), Answers()
        end = loop.time() + seconds

        async def one() -> None:
            while loop.time() < end:
                await self._ask(loop.time(), found)

        await asyncio.gather(*(one() for _ in range(self.connections)))
        return found

    async def _ask(self, due: float, found: Answers) -> None:
        connection = await self.idle.get()
        try:
            answer = await connection.ask(self.request)
        except OSError as error:
            found.failures.append(f"{type(error).__name__}: {error}")
            with suppress(OSError):
                connection = await self.opened()
        else:
            found.seconds.append(asyncio.get_running_loop().time() - due)
            if not answer.startswith(b"HTTP/1.1 200 ") or _ALLOWED not in answer.replace(b" ", b""):
                found.failures.append(answer[:200].decode(errors="replace"))
        finally:
            self.idle.put_nowait(connection)


@asynccontextmanager
async def calling(url: str, body: bytes, context: ssl.SSLContext, connections: int) -> AsyncIterator[Caller]:
    """A caller with so many connections open."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    async def opened() -> _Connection:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(_Connection, parts.hostname, parts.port, ssl=context)
        return protocol

    caller = Caller(head.encode() + body, opened)
    try:
        await caller.open(connections)
        yield caller
    finally:
        caller.close()
