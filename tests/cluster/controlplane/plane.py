"""A control plane that runs here: etcd, kube-apiserver, kube-controller-manager; kube-scheduler if asked.

Rules
- Everything listens on loopback, on ports below the ephemeral range: a client that redials the port of a dead
  server from that range could otherwise connect to itself.
- Authorization is RBAC; the one static token is in system:masters; ServiceAccount tokens can be minted.
- The controllers that judge nodes by their leases are off unless `node_lifecycle` is set, and with them the
  admission plugin that taints new nodes, since a simulated node is Ready when its fleet says so.
- `stop` uses SIGKILL: the data is thrown away, and an API server takes a minute to end its watches.
- Logs stay in `<work_dir>/logs`; the data of etcd goes when the plane stops.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.controlplane import commands
from tests.cluster.controlplane.certificates import Pki, create_pki
from tests.cluster.controlplane.cluster import Cluster
from tests.cluster.controlplane.program import Program

START_TIMEOUT = 90.0
"""Seconds until the API server must be ready, generous for a busy machine."""
PORTS = range(18000, 32000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What differs between tests."""

    controller_manager: bool = True
    scheduler: bool = False
    node_lifecycle: bool = False
    """Whether nodes without a fresh lease become Unknown and their pods are evicted."""
    api_server_flags: tuple[str, ...] = ()
    controller_manager_flags: tuple[str, ...] = ()


class ControlPlane(Cluster):
    """The programs of a control plane, each of which can be killed, paused and started again."""

    def __init__(self, assets: Path, work_dir: Path, options: Options | None = None) -> None:
        self.options = options or Options()
        self.work_dir = work_dir
        self.logs = work_dir / "logs"
        self.data = work_dir / "etcd"
        pki = create_pki(work_dir / "pki")
        ports = commands.Ports(*_free_ports(3))
        super().__init__(
            url=f"https://127.0.0.1:{ports.api_server}",
            token=secrets.token_hex(16),
            ca_file=pki.ca_file,
            kubeconfig=work_dir / "kubeconfig",
            kubectl_path=_find_kubectl(assets),
            assets=assets,
            reaches_loopback=True,
        )
        self._write_access(pki)
        self._programs = self._list_programs(pki, ports)

    def program(self, name: str) -> Program:
        """The program of that name, such as `kube-apiserver`. Raises KeyError for one that is not in it."""
        return self._programs[name]

    @property
    def programs(self) -> list[str]:
        """The names of the programs, in the order in which they start."""
        return list(self._programs)

    def start(self) -> None:
        """Starts everything and waits until it is usable. Raises RuntimeError with a log's end."""
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for name, program in self._programs.items():
                program.start()
                if name == "kube-apiserver":
                    self.wait_ready()
            if self.options.controller_manager:
                self._wait(self._has_default_account, "kube-controller-manager")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every program, the last one started first, and drops the data."""
        for program in reversed(self._programs.values()):
            program.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def wait_ready(self) -> None:
        """Waits for /readyz of the API server. Raises RuntimeError with the log's end if it does not come."""
        self._wait(self.is_ready, "kube-apiserver")

    def is_ready(self) -> bool:
        """Whether the API server answers /readyz with 200 now."""
        return self._status_of("/readyz") == 200

    def restart(self, name: str) -> None:
        """Crashes one program and starts it again; waits for the API server where that is concerned."""
        self.program(name).restart()
        if name in {"etcd", "kube-apiserver"}:
            self.wait_ready()

    def _status_of(self, path: str) -> int:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    def _has_default_account(self) -> bool:
        return self._status_of("/api/v1/namespaces/default/serviceaccounts/default") == 200

    def _wait(self, fact: object, name: str) -> None:
        assert callable(fact)
        deadline = time.monotonic() + START_TIMEOUT
        while not fact():
            gone = [
                program for program in self._programs.values() if program.log.exists() and not program.running
            ]
            blamed = gone[0] if gone else self.program(name)
            if gone or time.monotonic() > deadline:
                why = "ended" if gone else f"was not ready within {START_TIMEOUT:.0f} s"
                raise RuntimeError(f"{blamed.name} {why}; {blamed.log} ends with:\n{blamed.last_words()}")
            time.sleep(0.1)

    def _list_programs(self, pki: Pki, ports: commands.Ports) -> dict[str, Program]:
        assert self.assets is not None
        listed = {
            "etcd": commands.etcd(self.data, ports),
            "kube-apiserver": commands.api_server(
                pki, ports, self.work_dir / "tokens.csv", taint_nodes=self.options.node_lifecycle
            )
            + list(self.options.api_server_flags),
        }
        if self.options.controller_manager:
            listed["kube-controller-manager"] = commands.controller_manager(
                self.kubeconfig, pki, node_lifecycle=self.options.node_lifecycle
            ) + list(self.options.controller_manager_flags)
        if self.options.scheduler:
            listed["kube-scheduler"] = commands.scheduler(self.kubeconfig)
        return {
            name: Program(name, [str(self.assets / name), *flags], self.logs / f"{name}.log")
            for name, flags in listed.items()
        }

    def _write_access(self, pki: Pki) -> None:
        tokens = self.work_dir / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.token},test-admin,test-admin,"system:masters"\n')
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig_for(self.url, self.token, pki.ca_file)))


def kubeconfig_for(url: str, token: str, ca_file: Path) -> dict[str, object]:
    """A kubeconfig with one context for a bearer token."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }


def _find_kubectl(assets: Path) -> Path:
    beside = assets / "kubectl"
    if beside.exists():
        return beside
    found = shutil.which("kubectl")
    if found is None:
        raise RuntimeError(f"there is no kubectl in {assets} nor on PATH")
    return Path(found)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    chooser = random.Random(os.urandom(8))
    while len(found) < count:
        port = chooser.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
