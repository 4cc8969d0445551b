"""The programs themselves: how kubectl asks for completions, a missing extra, and Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.cli.exits import Exit
from tests.cli.site import Site

COMPLETE = "from kairos_operator.cli.completion import complete; complete()"


async def completed(cluster: Site, *words: str) -> list[str]:
    """What kubectl would propose for the last of the words."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMPLETE, *words,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    said, _ = await program.communicate()
    return said.decode().split()


async def test_kubectl_is_told_commands_names_and_values(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "op-1")
    cluster.operation(NODE_OP_UPGRADES, "up-1")
    assert await completed(cluster, "st") == ["status", ":4"]
    assert await completed(cluster, "why", "") == ["op-1", "up-1", ":4"]
    assert await completed(cluster, "why", "-n", "kube-system", "") == [":4"]
    assert await completed(cluster, "upgrade", "image", "--dry-run", "s") == ["server", ":4"]


async def test_a_completion_without_a_cluster_is_silent(cluster: Site) -> None:
    await cluster.server.stop()
    assert await completed(cluster, "why", "") == [":4"]


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None; from kairos_operator.cli.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == Exit.USAGE
    assert "pip install 'kairos-operator[cli]'" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_ctrl_c_ends_a_watch_without_a_word(cluster: Site) -> None:
    cluster.operation(NODE_OPS, "op", {"phase": "Running", "message": "working"})
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kairos_operator.cli", "status", "op", "--watch",
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    assert b"working" in await asyncio.wait_for(program.stdout.readline(), 60)
    program.send_signal(signal.SIGINT)
    _, errors = await program.communicate()
    assert program.returncode == Exit.INTERRUPTED
    assert errors == b""
