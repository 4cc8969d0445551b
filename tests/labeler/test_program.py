"""The labeler as it runs on a node: its own account and token, on a real API server, with the policy that binds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import Cluster
from tests.cluster.controlplane.program import Program

CONFIG = Path(__file__).parents[2] / "config" / "labeler"
ACCOUNT = "kairos-node-labeler"
MODULE = [sys.executable, "-m", "kairos_operator.labeler"]
RELEASE = 'KAIROS_ID="kairos"\nKAIROS_VERSION={}\nKAIROS_FLAVOR=leap\n'


def eventually(fact: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether the fact comes true while somebody would still wait for it."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Labelled:
    """Nodes, and labelers that run on them."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory
        self.running: list[Program] = []
        self.nodes: list[str] = []

    def node(self, name: str, **labels: str) -> None:
        """A Node with those labels (`kairos.io/` in front), and a labeler's pod on it."""
        labels = {f"kairos.io/{key}": value for key, value in labels.items()} | {"zone": "a"}
        meta = {"name": name, "labels": labels, "annotations": {"operator.kairos.io/cordoned-by": "x/y@z"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": ACCOUNT},
            "spec": {
                "nodeName": name,
                "serviceAccountName": ACCOUNT,
                "containers": [{"name": "labeler", "image": "none"}],
            },
        }
        self.cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": meta}, pod)
        self.nodes.append(name)

    def remove(self) -> None:
        """Ends the labelers, and removes their nodes and pods."""
        for program in self.running:
            program.kill()
        self.cluster.kubectl("delete", "pods", "--all", "-n", ACCOUNT, "--force", "--grace-period=0")
        self.cluster.kubectl("delete", "node", "--ignore-not-found", *self.nodes)

    def token(self, pod: str) -> str:
        """The token that the kubelet would mint for that pod."""
        made = self.cluster.kubectl(
            "create", "token", ACCOUNT, "-n", ACCOUNT, "--bound-object-kind=Pod", f"--bound-object-name={pod}"
        )
        return made.stdout.strip()

    def host(self, name: str) -> Path:
        """The root of a node's file system."""
        (self.directory / name / "etc").mkdir(parents=True, exist_ok=True)
        return self.directory / name

    def start(self, name: str, *, node: str = "") -> Program:
        """The labeler of that node's pod; `node` where it believes to be on another one."""
        account = self.directory / name / "account"
        account.mkdir(parents=True)
        (account / "token").write_text(self.token(name))
        (account / "ca.crt").write_bytes(self.cluster.ca_file.read_bytes())
        cmdline = self.directory / name / "cmdline"
        cmdline.write_text("root=LABEL=COS_ACTIVE\n")
        env = {
            "NODE_NAME": node or name,
            "HOST_DIR": str(self.host(name)),
            "KAIROS_API_URL": self.cluster.url,
            "KAIROS_SERVICEACCOUNT_DIR": str(account),
            "KAIROS_CMDLINE": str(cmdline),
            "LABELER_INTERVAL": "0.3",
        }
        command = ["env", *(f"{key}={value}" for key, value in env.items()), *MODULE]
        program = Program(name, command, self.directory / name / "log")
        self.running.append(program)
        program.start()
        return program

    def metadata(self, name: str) -> dict[str, Any]:
        """The Node's metadata now."""
        found: dict[str, Any] = self.cluster.read("node", name)["metadata"]
        return found

    def label(self, name: str, key: str) -> str | None:
        """One label of the Node."""
        value: str | None = self.metadata(name).get("labels", {}).get(f"kairos.io/{key}")
        return value

    def log(self, name: str) -> str:
        """What the labeler said."""
        return (self.directory / name / "log").read_text()


@pytest.fixture(scope="module")
def installed(real_control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The labeler's account, rights and policy as they are installed."""
    cluster = real_control_plane
    cluster.kubectl("apply", "--server-side", "-k", str(CONFIG))
    found = Labelled(cluster, tmp_path_factory.mktemp("labelers"))
    found.node("own")
    found.node("other")
    # A policy is enforced some moments after it was stored.
    assert eventually(lambda: "its own node" in try_patch(found, "own", "other", {}))
    yield cluster
    found.remove()
    cluster.kubectl("delete", "--wait=false", "-k", str(CONFIG))
    assert eventually(lambda: "NotFound" in cluster.kubectl("get", "ns", ACCOUNT, check=False).stderr)


@pytest.fixture
def labelled(installed: Cluster, tmp_path: Path) -> Iterator[Labelled]:
    """Nodes and labelers as a test wants them."""
    found = Labelled(installed, tmp_path)
    yield found
    found.remove()


def try_patch(labelled: Labelled, pod: str, node: str, change: dict[str, Any], *more: str) -> str:
    """What the API server says to a patch of a Node with the token of a labeler's pod; "" where it accepts."""
    done = labelled.cluster.kubectl(
        "patch",
        "node",
        node,
        "--type=merge",
        "-p",
        json.dumps(change or {"metadata": {"labels": {"kairos.io/id": str(time.time())}}}),
        "--token",
        labelled.token(pod),
        "--kubeconfig=/dev/null",
        f"--server={labelled.cluster.url}",
        f"--certificate-authority={labelled.cluster.ca_file}",
        *more,
        check=False,
    )
    return done.stderr


@pytest.mark.realcluster
def test_a_node_says_what_it_runs_and_says_it_anew_after_an_upgrade(labelled: Labelled) -> None:
    labelled.node("edge-1", flavor="stale", variant="stale")
    (labelled.host("edge-1") / "etc" / "kairos-release").write_text(RELEASE.format("v1"))
    labelled.start("edge-1")
    assert eventually(lambda: labelled.label("edge-1", "managed") == "true")
    found = labelled.metadata("edge-1")
    assert found["labels"] == {
        "zone": "a",
        "kairos.io/managed": "true",
        "kairos.io/boot-state": "active",
        "kairos.io/id": "kairos",
        "kairos.io/flavor": "leap",
    }
    assert found["annotations"]["kairos.io/version"] == "v1"
    assert found["annotations"]["operator.kairos.io/cordoned-by"] == "x/y@z"

    (labelled.host("edge-1") / "etc" / "kairos-release").write_text(RELEASE.format("v2").replace("leap", ""))
    assert eventually(lambda: labelled.metadata("edge-1")["annotations"]["kairos.io/version"] == "v2")
    assert labelled.label("edge-1", "flavor") is None

    labelled.cluster.kubectl(
        "label", "node", "edge-1", "kairos.io/managed=false", "kairos.io/id=x", "--overwrite"
    )
    (labelled.host("edge-1") / "etc" / "kairos-release").write_text(RELEASE.format("v3"))
    assert eventually(lambda: "left as they are" in labelled.log("edge-1").splitlines()[-1])
    assert labelled.label("edge-1", "id") == "x"


@pytest.mark.realcluster
def test_the_other_nodes_of_a_hybrid_cluster_are_not_touched(labelled: Labelled) -> None:
    labelled.node("debian-1", flavor="mine")
    before = labelled.metadata("debian-1")
    labelled.start("debian-1")
    assert eventually(lambda: "no Kairos node" in labelled.log("debian-1"))
    assert labelled.metadata("debian-1")["resourceVersion"] == before["resourceVersion"]
    assert os.listdir(labelled.host("debian-1") / "etc") == []


@pytest.mark.realcluster
def test_a_labeler_reaches_no_node_but_its_own(labelled: Labelled) -> None:
    labelled.node("edge-2")
    labelled.node("edge-3")
    before = labelled.metadata("edge-3")
    (labelled.host("edge-2") / "etc" / "kairos-release").write_text(RELEASE.format("v1"))
    labelled.start("edge-2", node="edge-3")
    assert eventually(lambda: 'this token is for node "edge-2"' in labelled.log("edge-2"))
    assert labelled.metadata("edge-3")["labels"] == before["labels"]
    assert labelled.token("edge-2").rsplit(".", 1)[-1] not in labelled.log("edge-2")


@pytest.mark.realcluster
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spec": {"unschedulable": True}}, "only change labels and annotations"),
        ({"metadata": {"finalizers": ["a.b/c"]}}, "only change labels and annotations"),
        ({"metadata": {"labels": {"zone": "b"}}}, "only change labels of kairos.io/"),
        ({"metadata": {"labels": {"zone": None}}}, "only change labels of kairos.io/"),
        (
            {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
            "only change labels of kairos.io/",
        ),
        ({"metadata": {"annotations": {"operator.kairos.io/cordoned-by": None}}}, "only change annotations"),
        ({"metadata": {"annotations": {"kairos.io/version": "v1"}}}, ""),
    ],
)
def test_a_labeler_changes_nothing_else_of_its_node(
    labelled: Labelled, change: dict[str, Any], said: str
) -> None:
    labelled.node("edge-4")
    answer = try_patch(labelled, "edge-4", "edge-4", change)
    assert said in answer if said else answer == ""


@pytest.mark.realcluster
def test_a_token_that_names_no_node_may_change_none(labelled: Labelled) -> None:
    labelled.node("edge-5")
    loose = labelled.cluster.token_for(ACCOUNT, ACCOUNT)
    labelled.token = lambda pod: loose  # type: ignore[method-assign]
    assert "its own node" in try_patch(labelled, "edge-5", "edge-5", {})


def test_a_wrong_environment_is_named() -> None:
    done = subprocess.run(MODULE, env={"NODE_NAME": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "NODE_NAME must be the name of a node, not ''.\n")
