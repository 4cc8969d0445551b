"""Draws docs/images/plugin.svg and plugin-1000.svg: `python hack/record_plugin.py [--nodes 1000]`.

The plugin's own screens against an API server in memory with a fleet, while the operator is at work: a blocked drain
and what `why` says about it, and a rollout over a thousand nodes in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from record_demo import with_local_fonts  # noqa: E402

from kairos_operator.api.resources import NODE_OP_UPGRADES  # noqa: E402
from kairos_operator.cli.connection import Access, connected  # noqa: E402
from kairos_operator.cli.inquiry import ask  # noqa: E402
from kairos_operator.cli.screen import Screen  # noqa: E402
from kairos_operator.cli.status import show_one  # noqa: E402
from tests.cli.site import TARGET, Site, site  # noqa: E402
from tests.sandbox.demo import blockade, roster  # noqa: E402
from tests.sandbox.fleet import NodeSpec  # noqa: E402
from tests.waiting import eventually  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH = 120
NAME = "spring"


def fleet(count: int) -> Sequence[NodeSpec]:
    """One control plane and workers."""
    workers = (NodeSpec(f"worker-{number}", rules=(roster.SERVES,)) for number in range(1, count))
    return [NodeSpec("cp-1", control_plane=True), *workers]


async def picture(found: Site, name: str, *commands: str) -> None:
    """What the commands draw on a terminal, as a picture of that name."""
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    async with connected(Access(kubeconfig=str(found.kubeconfig))) as cluster:
        for command in commands:
            console.print(Text(f"$ kubectl kairos {command} {NAME}", "bold"))
            if command == "why":
                await ask(cluster, Screen(console), NAME, None)
            else:
                await show_one(cluster, Screen(console), NAME, None, each_node=False)
            console.print()
    drawn = console.export_svg(
        title="kubectl kairos", theme=MONOKAI, code_format=with_local_fonts(), unique_id=name
    )
    (IMAGES / f"{name}.svg").write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")


def done(found: Site) -> int:
    """How many nodes are through."""
    status = found.store.get(NODE_OP_UPGRADES, NAME, "default").get("status") or {}
    return int((status.get("summary") or {}).get("completed", 0))


def blocked(found: Site) -> bool:
    """Whether a drain is refused an eviction."""
    status = found.store.get(NODE_OP_UPGRADES, NAME, "default").get("status") or {}
    return any(one["type"] == "DrainBlocked" for one in status.get("conditions") or ())


async def record(many: int) -> None:
    """Both pictures."""
    with tempfile.TemporaryDirectory(prefix="kairos-plugin-") as place:
        async with site(Path(place), fleet(6), operator=True, speed=5.0) as found:
            async with connected(Access(kubeconfig=str(found.kubeconfig))) as cluster:
                await blockade.set_up(cluster.client, "worker-3")
            await found.call("upgrade", TARGET, "--name", NAME, "-c", "1", "--stop-on-failure")
            await eventually(lambda: blocked(found), 120.0)
            await picture(found, "plugin", "status", "why")
    with tempfile.TemporaryDirectory(prefix="kairos-plugin-") as place:
        async with site(Path(place), fleet(many), operator=True, speed=4.0) as found:
            await found.call("upgrade", TARGET, "--name", NAME, "-c", str(many // 40))
            await eventually(lambda: done(found) >= many * 0.3, 400.0)
            await picture(found, "plugin-1000", "status")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    asyncio.run(record(parser.parse_args().nodes))
