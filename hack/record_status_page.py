"""Takes docs/images/status-page.png and -phone.png: `python hack/record_status_page.py`, with chromium installed.

The page is the one that the operator serves; the operations in it are those that the tests of the page use.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.status_page.browser import browser, found  # noqa: E402
from tests.status_page.cluster import Cluster, busy  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LIVE = "return document.getElementById('link').className === 'live'"
PICTURES = {"status-page.png": (1000, 760, False, 1.0), "status-page-phone.png": (390, 800, True, 2.0)}


async def record() -> None:
    """Takes the pictures."""
    cluster = Cluster()
    busy(cluster)
    async with cluster.page() as port, browser() as window:
        for name, (width, height, dark, scale) in PICTURES.items():
            await window.shape(width, height, dark=dark, scale=scale)
            await window.open(f"http://127.0.0.1:{port}/")
            await window.until(LIVE)
            (IMAGES / name).write_bytes(await window.picture())


if __name__ == "__main__":
    if found() is None:
        sys.exit("apt-get install chromium chromium-driver")
    asyncio.run(record())
