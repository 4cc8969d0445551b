"""The page and its server-sent events: everything once, then what changes, at most twice a second.

Read-only: there is nothing but GET. A browser that is slow holds up nobody but itself, and is told less often. The
page is three files without a build step; its policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from kairos_operator.api.objects import NodeOp, NodeOpUpgrade
from kairos_operator.runtime.caches import Caches
from kairos_operator.status_page.view import OperationView, differences, shown, view

INTERVAL_SECONDS = 0.5  # between two tellings
HEARTBEAT_SECONDS = 15.0  # of silence, after which a proxy might hang up
MOST_BROWSERS = 64
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_OWN_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)

Reader = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Board:
    """The operations as the page shows them; made anew only where an object has changed."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._views: dict[str, tuple[NodeOp | NodeOpUpgrade, OperationView]] = {}
        self._current: dict[str, OperationView] | None = None
        self._waiting: set[asyncio.Event] = set()
        caches.node_ops.subscribe(lambda _old, _new: self._changed())
        caches.upgrades.subscribe(lambda _old, _new: self._changed())

    def current(self) -> dict[str, OperationView]:
        """What is to be shown now, by key."""
        if self._current is None:
            views: dict[str, tuple[NodeOp | NodeOpUpgrade, OperationView]] = {}
            for op in shown(self._caches.node_ops.values(), self._caches.upgrades.values()):
                known = self._views.get(op.meta.uid)
                views[op.meta.uid] = known if known and known[0] is op else (op, view(op))
            self._views = views
            self._current = {made.key: made for _, made in views.values()}
        return self._current

    @property
    def browsers(self) -> int:
        """How many browsers follow."""
        return len(self._waiting)

    def follow(self) -> asyncio.Event:
        """An event that is set at each change, until `leave`."""
        event = asyncio.Event()
        event.set()
        self._waiting.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        """No longer set the event."""
        self._waiting.discard(event)

    def _changed(self) -> None:
        self._current = None
        for event in self._waiting:
            event.set()


def status_app(caches: Caches, *, own_host_only: bool = False) -> web.Application:
    """The page over the caches. With `own_host_only`, only requests to a loopback name are answered, so that no other
    site can have a browser on this machine read the page under a name of its own (DNS rebinding).
    """
    board = Board(caches)
    app = web.Application(middlewares=[_own_host] if own_host_only else [])
    for path, (name, kind) in _FILES.items():
        app.router.add_get(path, _file(name, kind))

    async def events(request: web.Request) -> web.StreamResponse:
        if board.browsers >= MOST_BROWSERS:
            return web.Response(status=503, text="too many browsers follow already\n", headers=HEADERS)
        return await _told(request, board)

    app.router.add_get("/events", events)
    return app


async def _told(request: web.Request, board: Board) -> web.StreamResponse:
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    changed = board.follow()
    try:
        await response.prepare(request)
        await response.write(b"event: reset\ndata: {}\n\n")
        known: dict[str, OperationView] = {}
        while True:
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            changed.clear()
            current = board.current()
            for told in differences(known, current):
                await response.write(b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n")
            await response.write(b"event: told\ndata: {}\n\n")
            known = current
            await asyncio.sleep(INTERVAL_SECONDS)
    except ConnectionResetError:
        return response  # the browser has left
    finally:
        board.leave(changed)


def _file(name: str, kind: str) -> Reader:
    body = files(__package__).joinpath("page", name).read_bytes()

    async def read(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)

    return read


@web.middleware
async def _own_host(request: web.Request, handler: Reader) -> web.StreamResponse:
    if not _OWN_HOST.fullmatch(request.headers.get("Host", "")):
        return web.Response(status=403, text="only under a loopback name\n", headers=HEADERS)
    return await handler(request)
