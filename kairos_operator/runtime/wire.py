"""The connections to the API server: a session of aiohttp, as all calls need it.

When the machine of an API server loses power, its connections end with nothing, and a pool would hand out one dead
connection after another. So the kernel asks an idle peer whether it is still there, and gives up on what is not
acknowledged, both within DEAD_AFTER seconds.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

from kairos_operator import __version__

DEAD_AFTER = 15
_TCP_OPTIONS = {
    "TCP_KEEPIDLE": DEAD_AFTER // 3,
    "TCP_KEEPINTVL": DEAD_AFTER // 3,
    "TCP_KEEPCNT": 2,
    "TCP_USER_TIMEOUT": DEAD_AFTER * 1000,
}


def new_session(connections: int) -> aiohttp.ClientSession:
    """A session with so many connections at most; 0 means any number."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, keepalive_timeout=60, socket_factory=_watched_socket
        ),
        # plain bodies, because unpacking costs more than a cluster's own network
        headers={
            "User-Agent": f"kairos-operator/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    # aiohttp sends PUT and DELETE again when a connection breaks: a write twice, and past the fence the second time.
    # Its own test client sets this too; there is no public way. `Transport` repeats what may be repeated.
    session._retry_connection = False
    return session


def _watched_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket whose peer is seen to be gone."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):  # the command line runs elsewhere than on Linux, too
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
