"""The probes and the metrics over HTTP, on addresses of their own, as controller-runtime serves them.

`/healthz` and `/readyz` answer 200 `ok`, or 500 with a line for each check: the kubelet shows that text in the
Pod's events, so it says what is missing. `?verbose` shows the lines of a passing probe too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from kairos_operator.connections import HEADER_TIMEOUT, Connections

MAX_CONNECTIONS = 200  # at once, on each port
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
    connections = Connections(MAX_CONNECTIONS)

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        with connections.answering(request.protocol):
            return await handler(request)

    def connection() -> asyncio.Protocol:
        assert runner.server is not None, "the runner is set up"
        protocol = runner.server()
        connections.begun(protocol)
        return protocol

    app.middlewares.insert(0, answering)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=KEEP_ALIVE)
    await runner.setup()
    server: asyncio.Server | None = None
    try:
        server = await asyncio.get_running_loop().create_server(
            connection,
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
