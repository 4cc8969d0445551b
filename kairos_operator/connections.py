"""Which connections of a server are open, so that none that is of no use takes memory for long.

The ports are open to all pods, and aiohttp itself waits for ever. A connection on which nothing is asked is closed, and
where there are too many, so is the one that has waited longest for a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

HEADER_TIMEOUT = 10.0
"""Seconds from a connection's beginning to its first request."""


@dataclass(slots=True)
class Connections:
    """The open connections of one server, at most `limit` of them; one with TLS takes about 100 KiB."""

    limit: int
    _open: dict[web.RequestHandler, None] = field(default_factory=dict)  # who has waited longest comes first
    _silent: set[web.RequestHandler] = field(default_factory=set)
    _busy: set[web.RequestHandler] = field(default_factory=set)

    def begun(self, connection: web.RequestHandler) -> None:
        """A connection begins; it is closed where nothing is asked on it in time."""
        self._open[connection] = None
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(HEADER_TIMEOUT, self._close_silent, connection)
        self._make_room()

    @contextmanager
    def answering(self, connection: web.RequestHandler) -> Iterator[None]:
        """While a request is answered on a connection; from then on it waits for the next."""
        self._silent.discard(connection)
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            if connection in self._open:
                del self._open[connection]
                self._open[connection] = None

    def _make_room(self) -> None:
        self._open = {one: None for one in self._open if one in self._silent or one.transport is not None}
        if len(self._open) > self.limit:
            waiting = next(one for one in self._open if one not in self._busy)  # the new one, if no other
            del self._open[waiting]
            self._silent.discard(waiting)
            waiting.force_close()

    def _close_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.remove(connection)
            connection.force_close()
