"""A running cluster, reached through a kubeconfig of any kind (certificates, exec plugins, tokens).

Rule: tests need one bearer token, so a ServiceAccount with cluster-admin is made in kube-system, named so
that its owner sees what it is for, and a token minted for it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.cluster.controlplane.cluster import KUBECTL_TIMEOUT, Cluster
from tests.cluster.controlplane.plane import kubeconfig_for

ACCOUNT = "kairos-operator-tests"
TOKEN_SECONDS = 6 * 3600


def open_cluster(kubeconfig: Path, work_dir: Path, kubectl: Path | None = None) -> Cluster:
    """Connects to the kubeconfig's current context. Raises RuntimeError with kubectl's words."""
    tool = kubectl or _on_path()
    work_dir.mkdir(parents=True, exist_ok=True)

    def ask(*args: str, said: str = "") -> str:
        command = [str(tool), "--kubeconfig", str(kubeconfig), *args]
        done = subprocess.run(
            command, input=said, capture_output=True, text=True, check=False, timeout=KUBECTL_TIMEOUT
        )
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)} on {kubeconfig}: {done.stderr.strip()}")
        return done.stdout

    view = json.loads(ask("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    server = view["clusters"][0]["cluster"]
    ca_file = work_dir / "ca.crt"
    ca_file.write_bytes(base64.b64decode(server.get("certificate-authority-data", "")))
    ask("apply", "-f", "-", said=json.dumps(_account()))
    token = ask("create", "token", ACCOUNT, "-n", "kube-system", f"--duration={TOKEN_SECONDS}s").strip()
    own = work_dir / "kubeconfig"
    own.touch(mode=0o600)
    own.write_text(yaml.safe_dump(kubeconfig_for(server["server"], token, ca_file)))
    return Cluster(
        url=server["server"].rstrip("/"), token=token, ca_file=ca_file, kubeconfig=own, kubectl_path=tool
    )


def _on_path() -> Path:
    found = shutil.which("kubectl")
    if found is None:
        raise RuntimeError("a running cluster needs a kubectl on PATH")
    return Path(found)


def _account() -> dict[str, object]:
    meta = {"name": ACCOUNT, "namespace": "kube-system"}
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": ACCOUNT},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", **meta}],
            },
        ],
    }
