"""Draws docs/images/dashboard.svg: `python hack/record_dashboard.py`, with Prometheus installed or to be had.

A real Prometheus watches a real operator at work (tests/monitoring), and answers every query of the dashboard; the
answers are drawn as Grafana lays them out. Run it again when the dashboard or the metrics change.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.monitoring.drawing import picture  # noqa: E402
from tests.monitoring.panels import answered  # noqa: E402
from tests.monitoring.scene import scene  # noqa: E402
from tests.tools import find_prometheus  # noqa: E402

AFTERWARDS_SECONDS = 10.0


async def record(program: Path, path: Path) -> None:
    """Let it all happen, and draw what Prometheus says of it."""
    with tempfile.TemporaryDirectory(prefix="kairos-dashboard-") as directory:
        async with scene(program, Path(directory)) as played:
            await played.play()
            await asyncio.sleep(AFTERWARDS_SECONDS)
            end = time.time()  # noqa: TID251 (what Prometheus counts in)
            path.write_text(picture(await answered(played.prometheus, played.began, end), played.began, end))


if __name__ == "__main__":
    found = find_prometheus()
    if found is None:
        sys.exit("apt-get install prometheus")
    asyncio.run(record(found, ROOT / "docs" / "images" / "dashboard.svg"))
