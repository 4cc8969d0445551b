"""Large blocks go back to the system where the C library would keep them, and TLS connections keep little."""

from __future__ import annotations

import asyncio
import platform
import ssl
import subprocess
import sys
from asyncio import sslproto
from pathlib import Path

import pytest

from kairos_operator.allocator import TLS_BYTES, shorten_tls_buffers
from tests.sandbox.apiserver import certificates

PROGRAM = """
import re
from pathlib import Path
from kairos_operator.allocator import give_back_large_blocks

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

{advice}
bytes(30_000_000)  # from such a block on glibc would keep blocks of that size in its heap
blocks = [bytearray(b"x" * 1_000_000) for _ in range(40)]
before = resident()
pinned = [bytearray(b"x" * 60_000)]  # and this one would keep them from going back
del blocks
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other habits")
def test_large_blocks_that_are_freed_are_not_kept() -> None:
    kept, freed = (_given_back(advice) for advice in ("", "assert give_back_large_blocks()"))
    assert freed >= 35 > kept


def _given_back(advice: str) -> int:
    """How many MiB a program's memory shrinks by when it frees 40."""
    command = [sys.executable, "-c", PROGRAM.format(advice=advice)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


async def test_a_tls_connection_keeps_64_kib_and_larger_answers_arrive_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A body of many records goes through, and the buffer of the connection stays small: asyncio may rename it."""
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    shorten_tls_buffers()
    body = bytes(range(256)) * 8192
    own = certificates.make(tmp_path)
    trust = ssl.create_default_context(cafile=str(own.ca_file))

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own.server)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        protocol = writer.transport._ssl_protocol  # type: ignore[attr-defined]
        assert await reader.read(-1) == body
        assert len(protocol._ssl_buffer) == TLS_BYTES
        writer.close()
