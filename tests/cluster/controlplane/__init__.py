"""A real Kubernetes control plane for tests: kube-apiserver, etcd, kube-controller-manager, kube-scheduler.

    found = find_control_plane(print)          # KUBEBUILDER_ASSETS, a named cluster, kind, or built with Go
    with start_cluster(found, work_dir) as cluster:
        cluster.kubectl("get", "nodes")

`Cluster` is what every one of them offers; `ControlPlane` is the one that runs here as child programs and can
be killed, paused and started again.
"""

from tests.cluster.controlplane.cluster import Cluster
from tests.cluster.controlplane.finder import (
    Assets,
    ControlPlaneUnavailableError,
    Found,
    RunningCluster,
    find_control_plane,
    start_cluster,
)
from tests.cluster.controlplane.plane import ControlPlane, Options

__all__ = [
    "Assets",
    "Cluster",
    "ControlPlane",
    "ControlPlaneUnavailableError",
    "Found",
    "Options",
    "RunningCluster",
    "find_control_plane",
    "start_cluster",
]
