"""An admission server on the loopback, with a certificate of its own, and clients that trust it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from webhooks.keys import Pair, load_into, mint
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

HOST = "localhost"
MUTATE = "/mutate-operator-kairos-io-v1alpha1-nodeop"
VALIDATE = "/validate-operator-kairos-io-v1alpha1-nodeop"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs, and what a client needs to reach it."""

    server: AdmissionServer
    context: ssl.SSLContext
    pair: Pair
    session: aiohttp.ClientSession

    def url(self, path: str = VALIDATE, scheme: str = "https") -> str:
        return f"{scheme}://{HOST}:{self.server.port}{path}"

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw TLS connection."""
        return await asyncio.open_connection(HOST, self.server.port, ssl=trusting(self.pair))


def trusting(*pairs: Pair) -> ssl.SSLContext:
    """A client's context that trusts the CAs of the pairs, and is as strict as OpenSSL can be."""
    context = ssl.create_default_context(cadata="".join(pair.ca.decode() for pair in pairs))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def serves(context: ssl.SSLContext, pair: Pair, host: str = HOST) -> bool:
    """Whether a handshake with the context, in memory, ends well for a client that trusts the pair's CA only."""
    asked, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(pair).wrap_bio(said, asked, server_hostname=host)
    server = context.wrap_bio(asked, said, server_side=True)
    try:
        for end in (client, server) * 3:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLError:
        return False
    return client.version() is not None


@asynccontextmanager
async def serving(knowledge: Knowledge | None = None) -> AsyncIterator[Served]:
    """A server for the time of a test, and a session whose connections are not limited."""
    context, pair = server_context(), mint([HOST], datetime.now(UTC))
    load_into(context, pair.certificate, pair.key)
    server = AdmissionServer(knowledge or Knowledge(), context)
    await server.start("127.0.0.1", 0)
    connector = aiohttp.TCPConnector(ssl=trusting(pair), limit=0, family=socket.AF_INET)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            yield Served(server, context, pair, session)
        finally:
            await server.stop()


async def post(served: Served, body: bytes, path: str = VALIDATE) -> tuple[int, Any]:
    """Status and answer to one request."""
    async with served.session.post(served.url(path), data=body, headers=JSON) as answer:
        return answer.status, json.loads(await answer.read())
