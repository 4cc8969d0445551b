"""Which connections of the admission server are open, so that none that is of no use takes memory for long.

Anybody in the cluster may open some. One that says nothing is closed, and where there are too many, so is the one that
has waited longest for a review.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

HEADER_TIMEOUT = 10.0
"""Seconds from a connection's beginning to its first request."""
MAX_CONNECTIONS = 1000
"""Connections at once, at about 100 KiB each."""


class Connections:
    """The open connections of one server."""

    def __init__(self) -> None:
        self._open: dict[web.RequestHandler, None] = {}  # the one that has waited longest comes first
        self._silent: set[web.RequestHandler] = set()
        self._reviewing: set[web.RequestHandler] = set()

    def begun(self, connection: web.RequestHandler) -> None:
        """A connection begins. It is closed where it says nothing: aiohttp itself would wait for ever."""
        self._open[connection] = None
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(HEADER_TIMEOUT, self._close_silent, connection)
        self._make_room()

    @contextmanager
    def reviewing(self, connection: web.RequestHandler) -> Iterator[None]:
        """While a review is under way on a connection; from then on it waits for the next."""
        self._silent.discard(connection)
        self._reviewing.add(connection)
        try:
            yield
        finally:
            self._reviewing.discard(connection)
            if connection in self._open:
                del self._open[connection]
                self._open[connection] = None

    def _make_room(self) -> None:
        self._open = {one: None for one in self._open if one in self._silent or one.transport is not None}
        if len(self._open) > MAX_CONNECTIONS:
            waiting = next(
                one for one in self._open if one not in self._reviewing
            )  # the new one, if no other
            del self._open[waiting]
            self._silent.discard(waiting)
            waiting.force_close()

    def _close_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.remove(connection)
            connection.force_close()
