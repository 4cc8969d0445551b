"""Memory that is used for a moment goes back to the system at once.

A status of thousands of nodes is a megabyte on the wire, several times over while it is read. glibc learns from the
first such block to keep the next ones within its heap, where what is allocated meanwhile keeps them from ever going
back. With fixed thresholds each large block is a mapping of its own, and ends with its use.
"""

from __future__ import annotations

import ctypes
from asyncio import sslproto

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGE_BYTES = 65_536
TRIM_BYTES = 131_072
TLS_BYTES = 65_536


def give_back_large_blocks() -> bool:
    """Fix the thresholds of malloc; returns whether there is a malloc that has them (glibc's)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False  # another C library, which needs no such advice
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES))


def shorten_tls_buffers() -> None:
    """Let a TLS connection keep 64 KiB for what it reads: asyncio's own 256 KiB are five megabytes for the connections
    to the API server, and a quarter of a gigabyte for a thousand clients of the webhook. A TLS record has 16 (RFC 8446,
    section 5.1).
    """
    sslproto.SSLProtocol.max_size = min(sslproto.SSLProtocol.max_size, TLS_BYTES)
