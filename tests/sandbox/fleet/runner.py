"""Runs the operator's own programs for real, each in a directory of its own, with the fleet's tools alone on PATH.

Rules
- Nothing of a pod's text is executed but a script that `programs.recognise` has found to be one of ours.
- The environment is made here from nothing. HOST_DIR and SENTINEL_DIR point into the node's directory only where
  the pod has mounted them, as on a real node.
- A program ends with its node, its pod or the fleet; it is addressed by the process group that was started here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import kairos_operator
from tests.cluster.controlplane.program import LAUNCHER
from tests.sandbox.fleet.effects import Object, RunId, RunProgram
from tests.sandbox.fleet.files import SENTINELS, FileDisk, Workspace
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.steps import Exit

Ended = Callable[[RunId, Exit], None]
TokenFor = Callable[[str, str], Awaitable[str]]
"""Namespace and ServiceAccount to a token."""
REBOOT_DELAY, REBOOT_POLL = 5.0, 1.0
PACKAGE_HOME = Path(kairos_operator.__file__).parents[1]


class Runner:
    """The programs that run now."""

    def __init__(self, work: Workspace, url: str, ca: str, token_for: TokenFor) -> None:
        self._work = work
        self._url = url
        self._ca = ca
        self._token_for = token_for
        self._groups: dict[RunId, int] = {}
        self._stopped: set[RunId] = set()
        self._directories: dict[RunId, Path] = {}

    async def run(self, effect: RunProgram, node: Kubelet) -> Exit:
        """Runs one program to its end, and returns how it ended."""
        directory = self._directories[effect.run] = self._work.run()
        command, environ = await self._prepare(effect, node, directory)
        with (directory / "log").open("wb") as log:
            if effect.run in self._stopped:
                return Exit(128 + signal.SIGKILL)
            child = await asyncio.create_subprocess_exec(
                *command,
                cwd=directory,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._groups[effect.run] = child.pid
        try:
            if effect.run in self._stopped:
                self._signal(effect.run, signal.SIGKILL)
            code = await child.wait()
        finally:
            if child.returncode is None:
                self._signal(effect.run, signal.SIGKILL)
            self._groups.pop(effect.run)
        message = (directory / "termination-log").read_bytes().decode(errors="replace")
        return Exit(code if code >= 0 else 128 - code, message, self.log(effect.run))

    async def stop(self, run: RunId, grace_seconds: float) -> None:
        """Ends a program: SIGTERM, then SIGKILL; one that has not started yet will not."""
        if grace_seconds > 0 and run in self._groups:
            self._signal(run, signal.SIGTERM)
            await asyncio.sleep(grace_seconds)
        self._stopped.add(run)
        self._signal(run, signal.SIGKILL)

    def kill_all(self) -> None:
        """Ends everything at once."""
        for run in list(self._groups):
            self._stopped.add(run)
            self._signal(run, signal.SIGKILL)

    def log(self, run: RunId) -> str:
        """What the program has said so far; nothing where it did not start."""
        file = self._directories.get(run, self._work.root / "runs") / "log"
        return file.read_bytes().decode(errors="replace") if file.exists() else ""

    def _signal(self, run: RunId, number: signal.Signals) -> None:
        if run in self._groups:
            try:
                os.killpg(self._groups[run], number)
            except ProcessLookupError:
                return

    async def _prepare(
        self, effect: RunProgram, node: Kubelet, directory: Path
    ) -> tuple[list[str], dict[str, str]]:
        (directory / "termination-log").touch()
        environ = self._environment(effect, node, directory)
        if effect.program.name != "reboot":
            name = f"kairos-{effect.program.name}"
            return ["/bin/sh", "-c", effect.program.script, name, *effect.program.arguments], environ
        account = directory / "service-account"
        account.mkdir()
        metadata, spec = effect.pod["metadata"], effect.pod["spec"]
        token = await self._token_for(metadata["namespace"], spec.get("serviceAccountName") or "default")
        (account / "token").touch(mode=0o600)
        (account / "token").write_text(token)
        (account / "ca.crt").write_text(self._ca)
        environ |= _variables(effect.pod, effect.container, ("POD_NAME", "POD_NAMESPACE", "JOB_NAME"))
        environ |= {
            "KAIROS_API_URL": self._url,
            "KAIROS_SERVICEACCOUNT_DIR": str(account),
            "REBOOT_DELAY": f"{REBOOT_DELAY / node.speed:.3f}",
            "REBOOT_POLL": f"{max(0.05, REBOOT_POLL / node.speed):.3f}",
            "PYTHONPATH": str(PACKAGE_HOME),
        }
        python = [sys.executable, "-m", "kairos_operator.reboot"]
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *python], environ

    def _environment(self, effect: RunProgram, node: Kubelet, directory: Path) -> dict[str, str]:
        disk = node.disk
        assert isinstance(disk, FileDisk)
        told = _variables(effect.pod, effect.container, ("HOST_DIR",))
        mounted = _mounts(effect.pod, effect.container)
        missing = str(directory / "not-mounted")
        agent, spec = node.spec.agent, effect.pod["spec"]
        privileged = bool((effect.container.get("securityContext") or {}).get("privileged"))
        has_host = mounted.get(told.get("HOST_DIR", "/host")) == "/"
        has_sentinels = mounted.get("/sentinel") == f"/{SENTINELS}"
        return {
            "PATH": str(self._work.bin),
            "HOST_DIR": str(disk.host) if has_host else missing,
            "SENTINEL_DIR": str(disk.host / SENTINELS) if has_sentinels else missing,
            "KAIROS_IMAGE_ROOT": str(self._work.image(str(effect.container.get("image", "")))),
            "KAIROS_CMDLINE": str(disk.directory / "cmdline"),
            "TERMINATION_LOG": str(directory / "termination-log"),
            "FLEET_NODE": node.name,
            "FLEET_NODE_DIR": str(disk.directory),
            "FLEET_REQUESTS": str(self._work.requests),
            "FLEET_HOST_ACCESS": str(bool(spec.get("hostPID")) and privileged).lower(),
            "FLEET_REBOOT_REFUSED": node.spec.reboot.refused,
            "FLEET_AGENT_EXIT": str(agent.exit_code),
            "FLEET_AGENT_SECONDS": f"{agent.seconds / node.speed:.3f}",
            "FLEET_AGENT_SAYS": agent.says,
        }


def _variables(pod: Object, container: Object, wanted: tuple[str, ...]) -> dict[str, str]:
    """Those of the container's variables, with values taken from the pod's metadata where they say so."""
    found = {}
    for variable in container.get("env") or ():
        if variable["name"] in wanted:
            source = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
            known: Mapping[str, Any] = {
                "metadata.name": pod["metadata"]["name"],
                "metadata.namespace": pod["metadata"]["namespace"],
            }
            found[variable["name"]] = str(known.get(source, variable.get("value", "")))
    return found


def _mounts(pod: Object, container: Object) -> dict[str, str]:
    """Mount paths of the container to paths of the node."""
    volumes = {
        one["name"]: (one.get("hostPath") or {}).get("path", "") for one in pod["spec"].get("volumes") or ()
    }
    return {one["mountPath"]: volumes.get(one["name"], "") for one in container.get("volumeMounts") or ()}
