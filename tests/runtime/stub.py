"""A stub API server on loopback that does what a test tells it, for faults that only show on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kairos_operator.runtime.kr8s_api import Kr8sApi

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stub:
    """Answers each request with the reply scripted for its path and kind, the last one for ever."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Reply]] = {}
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    def on(self, what: str, *replies: Reply) -> None:
        """Script the replies to `METHOD /path`; a watch counts as `WATCH /path`."""
        self.scripts[what] = list(replies)

    def seen(self, what: str) -> list[web.Request]:
        return [request for request in self.requests if _what(request) == what]

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        replies = self.scripts.get(_what(request))
        if not replies:
            return await status(404, "NotFound", f"nothing at {_what(request)}")(request)
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return await reply(request)

    def kubeconfig(self, **user: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": "t0", **user}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }

    @asynccontextmanager
    async def api(self, **options: Any) -> AsyncIterator[Kr8sApi]:
        api = await Kr8sApi.connect(options.pop("kubeconfig", self.kubeconfig()), **options)
        try:
            yield api
        finally:
            await api.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Stub]:
    stub = Stub()
    await stub.start()
    try:
        yield stub
    finally:
        await stub.stop()


def _what(request: web.Request) -> str:
    method = "WATCH" if request.query.get("watch") else request.method
    return f"{method} {request.path.rstrip('/')}"


def answer(body: Any, code: int = 200, headers: dict[str, str] | None = None) -> Reply:
    async def reply(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers=headers)

    return reply


def status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return answer(body, code, headers)


def listing(version: int, *items: dict[str, Any], more: str = "") -> Reply:
    meta = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return answer({"kind": "List", "metadata": meta, "items": list(items)})


def node(name: str, version: int, **labels: str) -> dict[str, Any]:
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta}


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}, ensure_ascii=False).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def stream(*chunks: bytes, then: str = "close") -> Reply:
    """A watch that sends these chunks and then does `close` (cleanly), `abort` or `hang`."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then == "hang":
            await asyncio.sleep(30)
        elif then == "abort":
            assert request.transport is not None
            request.transport.abort()
        return response

    return reply
