"""The real control plane, as machines need it: reachable from their network, and judging nodes by their leases.

Rules: it listens on all addresses of the enclosure's network and nowhere else; the address of the `kubernetes`
Service is one of them, so that pods reach it without a kube-proxy; webhooks are called at their pods' addresses
(aggregator routing), which the enclosure routes. Nodes have tokens of their own and the Node authorizer. What
ServiceAccounts ask for is written down.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.cluster.controlplane import ControlPlane, Options
from tests.cluster.controlplane.plane import kubeconfig_for
from tests.config.audit import POLICY, Refusal, refusals
from tests.machines.certificates import write_certificates

GATEWAY = "10.77.0.1"
SERVICE_ADDRESS = "10.96.0.1"
"""What the `kubernetes` Service gets: the first of the control plane's service range."""
CLUSTERS_OWN = "system:serviceaccount:kube-system:"
"""How the names of the cluster's own ServiceAccounts begin."""


class MachinePlane(ControlPlane):
    """A control plane whose nodes are the machines of those names."""

    def __init__(self, assets: Path, work_dir: Path, names: Iterable[str]) -> None:
        tokens = {name: secrets.token_hex(16) for name in names}
        work_dir.mkdir(parents=True, exist_ok=True)
        policy, self.audit_log = work_dir / "audit-policy.json", work_dir / "audit.log"
        policy.write_text(json.dumps(POLICY))
        flags = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--bind-address=0.0.0.0",
            "--secure-port=443",
            "--authorization-mode=Node",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-aggregator-routing=true",
            "--kubelet-preferred-address-types=InternalIP",
        )
        super().__init__(
            assets, work_dir, Options(scheduler=True, node_lifecycle=True, api_server_flags=flags)
        )
        write_certificates(self.ca_file.parent, (GATEWAY, SERVICE_ADDRESS, "127.0.0.1"))
        self.url = f"https://{SERVICE_ADDRESS}"
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig_for(self.url, self.token, self.ca_file)))
        with (work_dir / "tokens.csv").open("a") as listed:
            for name, token in tokens.items():
                listed.write(f'{token},system:node:{name},{name},"system:nodes"\n')
        self._tokens = tokens

    def refused(self) -> list[Refusal]:
        """What was refused so far to the ServiceAccounts of the operator, the labeler and the reboot pods."""
        theirs = (one for one in refusals(self.audit_log) if not one.user.startswith(CLUSTERS_OWN))
        return list(theirs)

    def kubeconfig_of(self, name: str, ca_file: str) -> str:
        """The kubeconfig of that machine's kubelet, which finds the CA at `ca_file`."""
        return yaml.safe_dump(kubeconfig_for(self.url, self._tokens[name], Path(ca_file)))
