"""The control plane that tests run on: what it allows and runs, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.controlplane import Cluster, ControlPlane, Options, RunningCluster, start_cluster

PATIENCE = 30.0

ORPHAN_MAKER = """
import sys, time
from pathlib import Path
from tests.cluster.controlplane.program import spawn
print(spawn(["sleep", "60"], Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


def eventually(fact: Callable[[], object]) -> bool:
    """Whether the fact comes true while somebody would still wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def alive(pid: int) -> bool:
    """Whether that pid still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_children_die_with_a_killed_test_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN_MAKER, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert alive(child)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert eventually(lambda: not alive(child))


@pytest.mark.realcluster
def test_the_server_is_the_pinned_kubernetes(real_control_plane: Cluster) -> None:
    said = real_control_plane.kubectl("version", "-o", "json").stdout
    assert '"gitVersion": "v1.' in said
    assert real_control_plane.read("namespaces", "default")["status"]["phase"] == "Active"


@pytest.mark.realcluster
def test_a_service_account_may_do_what_its_role_says_and_no_more(real_control_plane: Cluster) -> None:
    cluster = real_control_plane
    cluster.kubectl("create", "namespace", "rights")
    cluster.kubectl("create", "serviceaccount", "reader", "-n", "rights")
    cluster.kubectl("create", "role", "reader", "-n", "rights", "--verb=get", "--resource=pods")
    cluster.kubectl(
        "create", "rolebinding", "reader", "-n", "rights", "--role=reader", "--serviceaccount=rights:reader"
    )
    token = cluster.token_for("rights", "reader")

    def status(path: str) -> int:
        request = urllib.request.Request(cluster.url + path, headers={"Authorization": f"Bearer {token}"})
        return _status(request, cluster)

    assert eventually(lambda: status("/api/v1/namespaces/rights/pods/none") == 404)
    assert status("/api/v1/namespaces/rights/pods") == 403
    assert status("/api/v1/nodes") == 403


def _status(request: urllib.request.Request, cluster: Cluster) -> int:
    trust = ssl.create_default_context(cafile=str(cluster.ca_file))
    try:
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.realcluster
def test_the_real_job_controller_makes_a_pod(real_control_plane: Cluster) -> None:
    cluster = real_control_plane
    cluster.kubectl("create", "namespace", "jobs")
    cluster.kubectl("create", "job", "one", "-n", "jobs", "--image=none", "--", "true")
    assert eventually(lambda: cluster.read("pods", "-n", "jobs")["items"])
    cluster.kubectl("delete", "job", "one", "-n", "jobs")
    assert eventually(lambda: not cluster.read("pods", "-n", "jobs")["items"])


@pytest.mark.realcluster
def test_a_cluster_can_be_named_by_its_kubeconfig(real_control_plane: Cluster, tmp_path: Path) -> None:
    found = RunningCluster(real_control_plane.kubeconfig)
    with start_cluster(found, tmp_path) as named:
        assert named.token != real_control_plane.token
        assert named.kubectl("auth", "can-i", "*", "*").stdout.strip() == "yes"


@pytest.mark.realcluster
def test_parts_can_be_killed_paused_and_started_again(own_control_plane: ControlPlane) -> None:
    plane = own_control_plane
    plane.kubectl("create", "configmap", "kept")
    plane.program("kube-apiserver").kill()
    assert not plane.is_ready()
    plane.restart("kube-apiserver")
    plane.restart("etcd")
    assert plane.read("configmap", "kept")["metadata"]["name"] == "kept"

    plane.program("kube-apiserver").pause()
    assert plane.kubectl("get", "nodes", "--request-timeout=1s", check=False).returncode != 0
    plane.program("kube-apiserver").resume()
    plane.wait_ready()

    pids = [pid for name in plane.programs if (pid := plane.program(name).pid)]
    plane.stop()
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)
    assert not plane.data.exists()
    assert os.listdir(plane.logs)


@pytest.mark.realcluster
def test_a_part_that_does_not_start_is_named(control_plane_assets: Path, tmp_path: Path) -> None:
    options = Options(api_server_flags=("--no-such-flag",))
    with (
        pytest.raises(RuntimeError, match=r"(?s)kube-apiserver ended.*no-such-flag"),
        ControlPlane(control_plane_assets, tmp_path, options),
    ):
        pass
