"""A cluster of kind, through pytest-kind.

Rules: only where Docker answers; the `kind` and `kubectl` on PATH are used, since pytest-kind would download
versions of years ago; the image is the one named, or the one that this kind pins by digest. The cluster's
name carries the pid, so it is never one of the user's, and it is deleted at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from pytest_kind import KindCluster

from tests.cluster.controlplane.cluster import Cluster
from tests.cluster.controlplane.named import open_cluster


def docker_answers() -> bool:
    """Whether a Docker daemon can be reached."""
    if not shutil.which("docker"):
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class KindControlPlane(Cluster):
    """A kind cluster that lives between `start` and `stop`; its URL and token are known after `start`."""

    def __init__(self, kind_path: Path, image: str | None, work_dir: Path) -> None:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise RuntimeError("kind needs a kubectl on PATH")
        super().__init__(
            url="",
            token="",
            ca_file=work_dir / "ca.crt",
            kubeconfig=work_dir / "kubeconfig",
            kubectl_path=Path(kubectl),
        )
        self._work_dir = work_dir
        self._kind = KindCluster(
            f"kairos-operator-{os.getpid()}",
            kubeconfig=work_dir / "kind.kubeconfig",
            image=image,
            kind_path=kind_path,
            kubectl_path=Path(kubectl),
        )

    def start(self) -> None:
        self._kind.create()
        opened = open_cluster(self._kind.kubeconfig_path, self._work_dir, self.kubectl_path)
        self.url, self.token = opened.url, opened.token

    def stop(self) -> None:
        self._kind.delete()
