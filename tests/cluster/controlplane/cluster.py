"""What tests need of a real cluster, whoever runs it.

Rules: an admin token and nothing weaker; `kubectl` is called with this cluster's kubeconfig alone, never with
the user's; every call is bounded in time.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

KUBECTL_TIMEOUT = 60.0
"""Seconds that one kubectl call may take unless the caller says otherwise."""


@dataclass(kw_only=True)
class Cluster:
    """A reachable API server with admin rights."""

    url: str
    """Base URL, without a slash at the end."""
    token: str = field(repr=False)
    """A bearer token with every right."""
    ca_file: Path
    """The CA of the API server, PEM."""
    kubeconfig: Path
    kubectl_path: Path
    assets: Path | None = None
    """The directory of the control plane's binaries, where it was started from one."""
    reaches_loopback: bool = False
    """Whether the API server can call a webhook that listens on this machine's loopback."""

    def kubectl(
        self, *args: str, stdin: str = "", check: bool = True, timeout: float = KUBECTL_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl against this cluster. With `check`, a failure is an AssertionError with its words."""
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.kubeconfig.parent),
            "KUBECONFIG": str(self.kubeconfig),
        }
        done = subprocess.run(
            [str(self.kubectl_path), *args],
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise AssertionError(f"kubectl {' '.join(args)} exited {done.returncode}: {said}")
        return done

    def read(self, *args: str) -> Any:
        """`kubectl get ... -o json`, parsed."""
        return json.loads(self.kubectl("get", *args, "-o", "json").stdout)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Server-side applies the manifests as one list."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(bundle))

    def token_for(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """A token of that ServiceAccount, by the TokenRequest API. The account must exist."""
        made = self.kubectl(
            "create", "token", service_account, "--namespace", namespace, f"--duration={seconds}s"
        )
        return made.stdout.strip()

    def start(self) -> None:
        """Brings the cluster up; one that others run is up already."""

    def stop(self) -> None:
        """Ends what `start` began; one that others run is left alone."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
