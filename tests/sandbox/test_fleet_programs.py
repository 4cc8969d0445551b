"""What is run for real and what never is, and that nothing of it can reach this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import operation
from tests.sandbox.fleet import NodeSpec, Outcome, Release, Rule, real_programs, release_of_image
from tests.sandbox.fleet.effects import RunId, RunProgram
from tests.sandbox.fleet.files import TOOLS, FileDisk, Workspace
from tests.sandbox.fleet.journal import Journal
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.runner import Runner
from tests.sandbox.fleet.spec import Agent
from tests.sandbox.fleet.steps import Exit
from tests.sandbox.fleet_bench import Bench

OLD = Release("v3.4.0")


def ran(pod: dict[str, Any], *rules: Rule) -> list[RunProgram]:
    bench = Bench(NodeSpec("n", rules=rules), real_programs())
    bench.bind(pod["spec"], labels=pod["metadata"].get("labels", {}))
    bench.run(30)
    return bench.ran


def test_the_operators_scripts_are_run() -> None:
    assert [one.program.name for one in ran(operation.check_pod("n", "preflight"))] == ["preflight"]
    [upgrade] = ran(operation.job("n")["spec"]["template"] | {"metadata": {}})
    assert (upgrade.program.name, upgrade.program.arguments) == ("upgrade", ("--active",))
    assert [one.program.name for one in ran(operation.reboot_pod("n"))] == ["reboot"]


def _with_command(command: list[str]) -> dict[str, Any]:
    pod = operation.check_pod("n", "preflight")
    pod["spec"]["containers"][0]["command"] = command
    return pod


def test_nothing_else_is_ever_run() -> None:
    shell, flag, text, *rest = operation.check_pod("n", "preflight")["spec"]["containers"][0]["command"]
    for command in (
        ["/bin/sh", "-c", "touch /tmp/should-not-exist"],
        ["/bin/sh", "-c", "touch /tmp/should-not-exist", "kairos-preflight"],
        [shell, flag, text + "\ntouch /tmp/should-not-exist", *rest],
        ["bash", flag, text, *rest],
        [shell, "-ec", text, *rest],
        ["reboot"],
    ):
        assert ran(_with_command(command)) == []


def test_a_sentinel_cannot_leave_its_directory() -> None:
    command = operation.job("n")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert len(ran(_with_command(command))) == 1
    assert ran(_with_command([*command[:-1], "../../etc/passwd"])) == []


def test_a_rule_of_the_scenario_comes_first() -> None:
    assert ran(operation.check_pod("n", "preflight"), Rule(Outcome(), container="preflight")) == []


@pytest.mark.parametrize(
    ("image", "triple"),
    [
        (operation.IMAGE, operation.TARGET),
        (
            "localhost:5000/kairos/x:24.04-core-amd64-generic-v3.5.0-k0s-v1.33.1-k0s.0@sha256:00",
            "v3.5.0-k0sv1.33.1-k0s.0",
        ),
        ("busybox:latest", None),
        ("localhost:5000/busybox", None),
    ],
)
def test_the_release_in_a_kairos_tag(image: str, triple: str | None) -> None:
    found = release_of_image(image)
    assert (found.triple if found else None) == triple


class Site:
    """One node with directories, on which programs are run for real."""

    def __init__(self, root: Path, spec: NodeSpec) -> None:
        self.work = Workspace(root, release_of_image)
        self.disk: FileDisk = self.work.disk(spec.name, spec.release)
        self.node = Kubelet(spec, 1, self.disk, real_programs(), Journal(), speed=20)
        self.runner = Runner(self.work, "http://127.0.0.1:1", "", self._no_token)
        self.runs = 0

    @staticmethod
    async def _no_token(namespace: str, account: str) -> str:
        raise AssertionError("no token is needed here")

    async def run(self, pod: dict[str, Any], container: int = 0, part: str = "containers") -> Exit:
        meta = {"name": "pod", "namespace": "default", **pod["metadata"]}
        bench = Bench(self.node.spec, real_programs())
        bench.bind({**pod["spec"], "containers": [pod["spec"][part][container]], "initContainers": []})
        bench.run(5)
        [effect] = bench.ran
        self.runs += 1
        run = RunId(f"pod-{self.runs}", effect.run.container, 0)
        asked = RunProgram("n", run, effect.program, {**pod, "metadata": meta}, effect.container)
        return await self.runner.run(asked, self.node)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "fleet", NodeSpec("n", release=OLD))


def _template(node: str = "n") -> dict[str, Any]:
    template: dict[str, Any] = operation.job(node)["spec"]["template"] | {"metadata": {}}
    return template


def test_path_has_nothing_but_stubs_and_harmless_tools(site: Site) -> None:
    own = {"kairos-agent", "mount", "nsenter", "sync"}
    assert set(os.listdir(site.work.bin)) == own | set(TOOLS)
    assert not any((site.work.bin / name).is_symlink() for name in own)


async def test_an_upgrade_shows_after_the_next_boot(site: Site) -> None:
    result = await site.run(_template(), part="initContainers")
    assert (result.code, result.message) == (0, "")
    assert site.disk.running == OLD
    assert site.disk.system("active").triple == operation.TARGET
    assert site.disk.calls[-1].startswith("kairos-agent upgrade --source dir:/")
    assert (await site.run(operation.check_pod("n", "postflight"))).code == 1
    site.disk.boot()
    assert site.disk.running.triple == operation.TARGET
    assert site.disk.system("passive") == OLD
    assert (await site.run(operation.check_pod("n", "postflight"))).code == 0
    skip = await site.run(operation.check_pod("n", "preflight"))
    assert (skip.code, skip.message) == (0, f"node is already at {operation.TARGET}")


async def test_a_failed_boot_runs_the_old_system(site: Site) -> None:
    await site.run(_template(), part="initContainers")
    site.disk.boot(fall_back=True)
    assert site.disk.running == OLD
    verdict = await site.run(operation.check_pod("n", "postflight"))
    assert verdict.code == 1
    assert verdict.message.startswith("node booted its passive system")


async def test_a_failing_agent_fails_the_script_and_changes_nothing(tmp_path: Path) -> None:
    spec = NodeSpec("n", release=OLD, agent=Agent(exit_code=7, says="no space left"))
    site = Site(tmp_path / "fleet", spec)
    result = await site.run(_template(), part="initContainers")
    assert (result.code, "exit code 7" in result.message, "no space left" in result.log) == (1, True, True)
    assert site.disk.system("active") == OLD


async def test_the_sentinel_lands_on_the_node(site: Site) -> None:
    assert (await site.run(_template())).code == 0
    assert site.disk.has_sentinel(operation.job_name("n"))


async def test_a_pod_that_does_not_mount_the_host_does_not_see_it(site: Site) -> None:
    pod = operation.check_pod("n", "preflight")
    pod["spec"]["volumes"] = [{"name": "host-root", "hostPath": {"path": "/etc"}}]
    site.disk.install("active", Release("v3.4.2", software="v1.30.11-k3s1"))
    site.disk.boot()
    assert (await site.run(pod)).message == ""


@pytest.mark.parametrize(
    ("access", "refused", "arguments", "code", "said"),
    [
        ("true", "", "-t 1 -m -- reboot", 0, ""),
        ("true", "no init", "-t 1 -m -- reboot", 1, "no init"),
        ("false", "", "-t 1 -m -- reboot", 1, "Permission denied"),
        ("true", "", "-t 1 -m -- rm -rf /", 127, "does not know"),
    ],
)
def test_the_stub_of_nsenter(
    site: Site, access: str, refused: str, arguments: str, code: int, said: str
) -> None:
    pipe = os.open(site.work.requests, os.O_RDWR | os.O_NONBLOCK)
    env = {
        "PATH": str(site.work.bin),
        "FLEET_NODE": "n",
        "FLEET_NODE_DIR": str(site.disk.directory),
        "FLEET_REQUESTS": str(site.work.requests),
        "FLEET_HOST_ACCESS": access,
        "FLEET_REBOOT_REFUSED": refused,
    }
    command = [str(site.work.bin / "nsenter"), *arguments.split()]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, said in done.stderr) == (code, True)
    if code == 0:
        assert os.read(pipe, 100) == b"n\n"
    os.close(pipe)
