"""The operator as it is installed: on a control plane with an audit log, as a process under its own account.

The process is run with the arguments and the environment of the shipped Deployment, but for the ports. Since nothing
routes Service addresses here, the webhook's Service is made to mean this machine; names, paths and certificate stay.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.controlplane import ControlPlane, Options
from tests.cluster.controlplane.plane import kubeconfig_for
from tests.cluster.controlplane.program import Program
from tests.config.audit import POLICY, Request, requests

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
NAMESPACE = "kairos-operator-system"
ACCOUNT = "kairos-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
WEBHOOK_CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
PATIENCE = 90.0


def eventually(fact: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether the fact comes true while somebody would still wait for it."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def rendered(kubectl: Path, directory: str) -> list[dict[str, Any]]:
    """The manifests that a directory below config/ stands for."""
    import subprocess

    made = subprocess.run(
        [str(kubectl), "kustomize", str(CONFIG / directory)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return [one for one in yaml.safe_load_all(made.stdout) if one]


def remove(plane: ControlPlane, directory: str) -> None:
    """Delete what was installed from a directory, when both kinds have been read once, as a running operator does.

    Of what nobody has read yet the removal takes up to five minutes: the API server's finalizer of CRDs finds the
    storage unready, writes so, tries again with a cache that has not seen that write, and waits for an event that it
    ignores, until its next resync (apiextensions-apiserver, crd_finalizer.go).
    """
    plane.kubectl("get", "nodeops,nodeopupgrades", "--all-namespaces")
    plane.kubectl("delete", "-k", directory, timeout=120)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def audited_plane(assets: Path, work_dir: Path) -> ControlPlane:
    """A control plane that writes down what service accounts do, and ties blockOwnerDeletion to a right."""
    work_dir.mkdir(parents=True, exist_ok=True)
    policy = work_dir / "audit-policy.json"
    policy.write_text(json.dumps(POLICY))
    flags = (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={work_dir / 'audit.log'}",
        "--audit-log-mode=blocking",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    )
    return ControlPlane(assets, work_dir / "plane", Options(api_server_flags=flags))


class Installation:
    """config/default on a control plane, and one replica of the operator."""

    def __init__(self, plane: ControlPlane, work_dir: Path) -> None:
        self.plane = plane
        self.work_dir = work_dir
        self.log = work_dir / "operator.log"
        self.webhook_port, self.health_port, self.metrics_port = (free_port() for _ in range(3))
        self.plane.kubectl("apply", "--server-side", "-k", str(CONFIG / "default"))
        self.plane.kubectl(
            *("create", "clusterrolebinding", "reads-metrics"),
            *("--clusterrole=kairos-operator-metrics-reader", f"--serviceaccount={NAMESPACE}:default"),
        )
        self._route_webhooks()
        self._replica = Program("operator", self._command(), self.log)

    def start(self) -> None:
        """Starts the replica and waits until it is ready."""
        self._replica.start()
        assert eventually(self.ready), self.log.read_text()[-3000:]

    def stop(self) -> None:
        """Tells the replica to end, and waits until it has."""
        import os
        import signal

        pid = self._replica.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            assert eventually(lambda: not self._replica.running, 30.0)
        self._replica.kill()

    @property
    def pid(self) -> int:
        """The replica's process."""
        assert self._replica.pid is not None
        return self._replica.pid

    def kill(self) -> None:
        """Ends the replica at once."""
        self._replica.kill()

    def ready(self) -> bool:
        """Whether the readiness probe passes."""
        return self._get(self.health_port, "/readyz") == "ok"

    def metrics(self) -> str:
        """What /metrics says now, to an account that may read it."""
        token = self.plane.token_for(NAMESPACE, "default")
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.metrics_port}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return str(answer.read().decode())

    def refusals(self) -> list[str]:
        """The metrics that count 403 answers, and the lines of the log that speak of one."""
        counted = re.findall(r'^rest_client_requests_total\{.*code="403".*$', self.metrics(), re.MULTILINE)
        logged = [line for line in self.log.read_text().splitlines() if "forbidden" in line.lower()]
        return [*counted, *logged]

    def requests(self) -> list[Request]:
        """What the replica has asked the API server for."""
        return requests(self.work_dir / "audit.log", USER)

    def _get(self, port: int, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def _command(self) -> list[str]:
        deployment = self.plane.read("deployment", "kairos-operator", "-n", NAMESPACE)
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        kubeconfig = self.work_dir / "operator.kubeconfig"
        kubeconfig.touch(mode=0o600)
        token = self.plane.token_for(NAMESPACE, ACCOUNT)
        kubeconfig.write_text(yaml.safe_dump(kubeconfig_for(self.plane.url, token, self.plane.ca_file)))
        pod = {"NAME": "kairos-operator-0", "UID": str(uuid.uuid4()), "NAMESPACE": NAMESPACE}
        given = {f"CONTROLLER_POD_{name}": value for name, value in pod.items()}
        env = [f"{one['name']}={one.get('value') or given[one['name']]}" for one in container["env"]]
        return [
            "env",
            *env,
            sys.executable,
            "-m",
            "kairos_operator",
            *container["args"],
            f"--kubeconfig={kubeconfig}",
            f"--webhook-port={self.webhook_port}",
            f"--health-probe-bind-address=127.0.0.1:{self.health_port}",
            f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
        ]

    def _route_webhooks(self) -> None:
        service = {
            "spec": {
                "type": "ExternalName",
                "externalName": "localhost",
                "clusterIP": None,
                "clusterIPs": None,
            }
        }
        self.plane.kubectl(
            "patch",
            "service",
            "kairos-operator-webhook-service",
            "-n",
            NAMESPACE,
            "--type=merge",
            "-p",
            json.dumps(service),
        )
        for kind in WEBHOOK_CONFIGURATIONS:
            name = f"kairos-operator-{kind.removesuffix('webhookconfiguration')}-webhook-configuration"
            port = [
                {
                    "op": "replace",
                    "path": f"/webhooks/{i}/clientConfig/service/port",
                    "value": self.webhook_port,
                }
                for i in range(2)
            ]
            self.plane.kubectl("patch", kind, name, "--type=json", "-p", json.dumps(port))
