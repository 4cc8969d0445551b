"""Large blocks go back to the system, where the C library is the one that would keep them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
