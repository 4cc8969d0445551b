"""Watches over HTTP: newline-delimited events in a chunked answer.

A watch that expires says so with an ERROR event inside the stream, as the real server's watch cache does. An idle
watch that allows bookmarks gets one every few seconds, so that it can resume where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.sandbox.apiserver import bodies, tables
from tests.sandbox.apiserver.address import ApiPath
from tests.sandbox.apiserver.answers import Form, encode, partial
from tests.sandbox.store import Kind, StatusError, Store, Watch, WatchEvent
from tests.sandbox.store.errors import Fault, invalid

BOOKMARK_SECONDS = 10.0
TIMEOUT_SECONDS = 1800.0  # of a watch that names none


@dataclass(slots=True)
class _Stream:
    """One open watch."""

    watch: Watch
    kind: Kind
    form: Form
    include: str
    bookmarks: bool
    news: asyncio.Event = field(default_factory=asyncio.Event)
    headed: bool = False  # whether the table's column definitions were sent


class Watching:
    """All open watches of a server. `ready` waits while the server is paused."""

    def __init__(self, store: Store, ready: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._ready = ready
        self._open: set[Watch] = set()

    def expire(self) -> None:
        """Make every open watch answer 410 Expired."""
        for watch in list(self._open):
            watch.expire()

    async def stream(self, request: web.Request, kind: Kind, path: ApiPath, form: Form) -> web.StreamResponse:
        """Answer a watch until its timeout, its expiry or the client's going away."""
        fields = request.query.get("fieldSelector", "")
        if path.name:
            fields = f"metadata.name={path.name}"
        initial = _asks_initial(request)
        bookmarks = bodies.flag(request, "allowWatchBookmarks")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            watch = self._store.watch(
                kind,
                path.namespace or None,
                resource_version=request.query.get("resourceVersion", ""),
                label_selector=request.query.get("labelSelector", ""),
                field_selector=fields,
                send_initial_events=initial,
                bookmarks=bookmarks,
            )
        except StatusError as error:
            if error.code != 410:
                raise
            await response.prepare(request)
            await response.write(_error_line(error))
            return response
        include = request.query.get("includeObject", "Metadata")
        stream = _Stream(watch, kind, form, include, bookmarks)
        watch.on_event = stream.news.set
        self._open.add(watch)
        try:
            await response.prepare(request)
            await self._serve(stream, response, bodies.number(request, "timeoutSeconds") or TIMEOUT_SECONDS)
        except ConnectionError:
            pass  # the client went away, which is how watches end
        finally:
            self._open.discard(watch)
            watch.close()
        return response

    async def _serve(self, stream: _Stream, response: web.StreamResponse, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            stream.news.clear()
            await self._ready()
            try:
                events = stream.watch.poll()
            except StatusError as error:
                await response.write(_error_line(error))
                return
            if events:
                await response.write(b"".join(self._line(stream, event) for event in events))
            left = end - loop.time()
            if left <= 0:
                if stream.bookmarks:
                    await response.write(self._line(stream, stream.watch.bookmark()))
                return
            try:
                # Not wait_for: on Python 3.11 it swallows a cancellation that comes together with the news.
                async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                    await stream.news.wait()
            except TimeoutError:
                if stream.bookmarks and left > BOOKMARK_SECONDS:
                    await self._ready()
                    await response.write(self._line(stream, stream.watch.bookmark()))

    def _line(self, stream: _Stream, event: WatchEvent) -> bytes:
        if event.type == "BOOKMARK" or event.change is None or stream.form.name:
            return encode({"type": event.type, "object": self._shown(stream, event)}) + b"\n"
        cache, key = event.change.encoded, f"{stream.kind.api_version} {event.type}"
        if key not in cache:
            cache[key] = encode({"type": event.type, "object": event.object}) + b"\n"
        return cache[key]

    def _shown(self, stream: _Stream, event: WatchEvent) -> Any:
        if event.type == "BOOKMARK" and not stream.form.table:
            return event.object
        if stream.form.partial:
            return partial(event.object)
        if not stream.form.table:
            return event.object
        if event.type == "BOOKMARK":
            head: dict[str, Any] = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "columnDefinitions": None,
                "rows": [],
            }
            return {**head, "metadata": event.object["metadata"]}
        headed, stream.headed = not stream.headed, True
        return tables.single(stream.kind, event.object, stream.include, self._store.clock(), headed=headed)


def _asks_initial(request: web.Request) -> bool:
    """Whether the present objects are to come first; 422 for a combination that the API forbids."""
    match = request.query.get("resourceVersionMatch", "")
    if "sendInitialEvents" not in request.query:
        if match:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            raise invalid(
                "meta.k8s.io", "ListOptions", "", [Fault("Forbidden", "resourceVersionMatch", None, text)]
            )
        return False
    if match != "NotOlderThan":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid(
            "meta.k8s.io", "ListOptions", "", [Fault("Forbidden", "resourceVersionMatch", None, text)]
        )
    return bodies.flag(request, "sendInitialEvents")


def _error_line(error: StatusError) -> bytes:
    return encode({"type": "ERROR", "object": error.status}) + b"\n"
