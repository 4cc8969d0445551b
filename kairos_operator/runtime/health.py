"""The probes and the metrics over HTTP, on addresses of their own, as controller-runtime serves them.

`/healthz` and `/readyz` answer 200 `ok`, or 500 with a line for each check: the kubelet shows that text in the
Pod's events, so it says what is missing. `?verbose` shows the lines of a passing probe too. A client that does not ask
in time is cut off: the ports are open to all pods, and aiohttp itself waits for ever.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

HEADER_TIMEOUT = 10.0  # seconds from a connection's beginning to its first request
KEEP_ALIVE = (
    120.0  # seconds that a connection may rest between two requests; Prometheus asks each minute, or sooner
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], str]  # "" when fine, else what is wrong, in a few words
Serving = AbstractAsyncContextManager[int]


def probe_app(live: Mapping[str, Check], ready: Mapping[str, Check]) -> web.Application:
    """`/healthz` and `/readyz` over named checks."""
    app = web.Application()
    app.router.add_get("/healthz", _probe("healthz", live))
    app.router.add_get("/readyz", _probe("readyz", ready))
    return app


def metrics_app(registry: CollectorRegistry) -> web.Application:
    """`/metrics` in the format of Prometheus."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve the app while the block runs, over TLS with a context; yields the port (of which 0 takes any).

    Raises OSError where the address cannot be had.
    """
    silent = _Silent()
    app.middlewares.insert(0, silent.heard)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=KEEP_ALIVE)
    await runner.setup()
    server: asyncio.Server | None = None
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: silent.connection(runner),
            host or None,
            port,
            ssl=context,
            ssl_handshake_timeout=HEADER_TIMEOUT if context else None,
        )
        yield int(server.sockets[0].getsockname()[1])
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


class _Silent:
    """The connections of a server that have asked for nothing yet; each is closed when its time is over."""

    def __init__(self) -> None:
        self._protocols: set[web.RequestHandler] = set()

    def connection(self, runner: web.AppRunner) -> asyncio.Protocol:
        """A new connection, for a runner that is set up."""
        assert runner.server is not None
        protocol = runner.server()
        self._protocols.add(protocol)
        asyncio.get_running_loop().call_later(HEADER_TIMEOUT, self._close, protocol)
        return protocol

    @web.middleware
    async def heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let requests through, and their connections stay."""
        self._protocols.discard(request.protocol)
        return await handler(request)

    def _close(self, protocol: web.RequestHandler) -> None:
        if protocol in self._protocols:
            self._protocols.remove(protocol)
            protocol.force_close()


def _probe(name: str, checks: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(request: web.Request) -> web.Response:
        found = {check: told() for check, told in checks.items()}
        failed = any(found.values())
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [f"[-]{check} failed: {why}" if why else f"[+]{check} ok" for check, why in found.items()]
        lines.append(f"{name} check {'failed' if failed else 'passed'}\n")
        return web.Response(text="\n".join(lines), status=500 if failed else 200)

    return probe
