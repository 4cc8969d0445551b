"""The command lines of the control plane's programs.

Rules: only loopback; nothing that a throw-away cluster does not need (no leader election, no serving ports of
the controllers); client rate limits far above what a test does, so that what is measured is the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.controlplane.certificates import Pki

NODE_JUDGES = (
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "node-ipam-controller",
    "node-route-controller",
    "cloud-node-lifecycle-controller",
)
"""Controllers that would act on nodes no kubelet stands behind."""
SERVICE_RANGE = "10.96.0.0/16"


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on loopback."""

    api_server: int
    etcd: int
    etcd_peer: int


def etcd(data: Path, ports: Ports) -> list[str]:
    """etcd without fsync: the data of a test need not survive the machine."""
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={data}",
        "--name=test",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(pki: Pki, ports: Ports, tokens: Path, *, taint_nodes: bool) -> list[str]:
    """kube-apiserver with RBAC, one static admin token and ServiceAccount tokens."""
    flags = [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports.api_server}",
        f"--tls-cert-file={pki.cert_file}",
        f"--tls-private-key-file={pki.key_file}",
        f"--client-ca-file={pki.ca_file}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_account_key_file}",
        f"--service-account-signing-key-file={pki.service_account_key_file}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=2000",
        "--profiling=false",
    ]
    if not taint_nodes:
        flags.append("--disable-admission-plugins=TaintNodesByCondition")
    return flags


def controller_manager(kubeconfig: Path, pki: Pki, *, node_lifecycle: bool) -> list[str]:
    """kube-controller-manager with its real Job controller and garbage collector."""
    off = NODE_JUDGES[2:] if node_lifecycle else NODE_JUDGES
    return [
        f"--kubeconfig={kubeconfig}",
        "--controllers=*," + ",".join(f"-{name}" for name in off),
        f"--root-ca-file={pki.ca_file}",
        f"--service-account-private-key-file={pki.service_account_key_file}",
        "--use-service-account-credentials=false",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-job-syncs=20",
        "--profiling=false",
    ]


def scheduler(kubeconfig: Path) -> list[str]:
    """kube-scheduler, for tests whose pods name no node."""
    return [
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--profiling=false",
    ]
