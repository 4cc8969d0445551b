"""The demo as a user without a terminal runs it: as a program, judged by its words, its exit code and the API."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODES
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.sandbox.demo.children import REPOSITORY

PATIENCE = 150.0
FAST = ("--nodes=4", "--speed=40")


@dataclass(slots=True)
class Demo:
    """A running demo and what it has said."""

    child: asyncio.subprocess.Process
    place: Path
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def says(self, pattern: str) -> str:
        """Reads on until a line matches; returns its first group, or all that matched."""
        assert self.child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while raw := await self.child.stdout.readline():
                self.lines.append(raw.decode().rstrip("\n"))
                found = re.search(pattern, self.lines[-1])
                if found:
                    return found.group(found.lastindex or 0)
        raise AssertionError(f"it ended without saying {pattern!r}:\n{self.text}")

    async def ends(self) -> int:
        """Reads to the end; returns the exit code."""
        assert self.child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.lines += (await self.child.stdout.read()).decode().splitlines()
            return await self.child.wait()

    def outcome(self, node: str) -> str:
        """What the summary says of a node."""
        found = re.search(rf"^  {node} +(Completed|Skipped|Failed|Not started) ", self.text, re.MULTILINE)
        assert found, self.text
        return found.group(1)

    def left_behind(self) -> list[str]:
        """Files in its temporary directory, and programs that were told of it."""
        files = [str(path) for path in self.place.iterdir()]
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
        return files + [one.decode(errors="replace") for one in commands if bytes(self.place) in one]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False  # the program has just ended
    return True


@asynccontextmanager
async def demo(place: Path, *flags: str) -> AsyncIterator[Demo]:
    """The demo with `flags`, its temporary files in `place`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.sandbox.demo",
        *flags,
        cwd=REPOSITORY,
        env={"TMPDIR": str(place), "HOME": str(place.parent), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Demo(child, place)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "place"
    directory.mkdir()
    return directory


@pytest.mark.slow
async def test_a_rollout_completes_and_stays_up_for_kubectl(place: Path) -> None:
    async with demo(place, *FAST, "--keep") as run:
        kubeconfig = await run.says(r"export KUBECONFIG=(\S+)")
        await _check_the_cluster(kubeconfig)
        run.child.send_signal(signal.SIGINT)
        assert await run.ends() == 0, run.text
    assert [run.outcome(node) for node in ("cp-1", "worker-1", "worker-3")] == ["Completed"] * 3
    assert run.outcome("worker-2") == "Skipped"
    assert "As expected" in run.text
    assert not run.left_behind()


async def _check_the_cluster(kubeconfig: str) -> None:
    """What anybody with the kubeconfig sees afterwards."""
    api = await Kr8sApi.connect(kubeconfig)
    try:
        client = KubeClient(api)
        (upgrade,) = (await client.list(NODE_OP_UPGRADES, "default")).items
        nodes = (await client.list(NODES)).items
        jobs = (await client.list(JOBS, "default")).items
    finally:
        await api.close()
    assert upgrade["status"]["phase"] == "Completed"
    assert upgrade["metadata"]["name"].startswith("kairos-upgrade-")
    assert {node["status"]["nodeInfo"]["osImage"] for node in nodes} == {"Kairos v3.4.2-k3sv1.30.11-k3s1"}
    assert not [node for node in nodes if node["spec"].get("unschedulable")]
    assert sorted(job["metadata"]["labels"]["kairos.io/node"] for job in jobs) == [
        "cp-1",
        "worker-1",
        "worker-3",
    ]


@pytest.mark.slow
async def test_a_node_that_does_not_boot_its_new_system_stops_the_rollout(place: Path) -> None:
    async with demo(place, *FAST, "--fail=worker-1") as run:
        assert await run.ends() == 0, run.text
    outcomes = {node: run.outcome(node) for node in ("cp-1", "worker-1", "worker-2", "worker-3")}
    assert outcomes == {
        "cp-1": "Completed",
        "worker-1": "Failed",
        "worker-2": "Not started",
        "worker-3": "Not started",
    }
    assert re.search(r"worker-1 .*node booted its passive system", run.text)
    assert not run.left_behind()


@pytest.mark.slow
async def test_a_blocked_drain_is_explained_and_let_go(place: Path) -> None:
    async with demo(place, *FAST, "--block=worker-1") as run:
        await run.says("A drain is blocked: shop/web-1 on worker-1: .* budget web")
        await run.says("What to do: ")
        assert await run.ends() == 0, run.text
    assert "worker-1 after its drain was let go" in run.text
    assert run.outcome("worker-1") == "Completed"
    assert not run.left_behind()


@pytest.mark.slow
async def test_an_interrupted_run_leaves_nothing_behind(place: Path) -> None:
    async with demo(place, "--nodes=2") as run:
        await run.says("cp-1 .*cordoned")
        run.child.send_signal(signal.SIGINT)
        assert await run.ends() == 130, run.text
    assert not run.left_behind()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--nodes=1",), "give 2 to 200"),
        (("--fail=worker-9",), "there is no such node"),
        (("--fail=worker-3",), "runs the new version already"),
        (("--block=worker-9",), "there is no such node"),
        (("--block=worker-3",), "so it is not drained"),
        (("--concurrency=-1",), "or more"),
        (("--speed=0",), "give 0.1 to 1000"),
    ],
)
async def test_flags_that_cannot_be_used_are_refused(place: Path, flags: tuple[str, ...], words: str) -> None:
    async with demo(place, *flags) as run:
        assert await run.ends() == 2
    assert words in run.text
