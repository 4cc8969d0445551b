"""Machines with the operator installed on them as its users install it, and a workload that must keep serving."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Self

import yaml

from tests.machines.cluster import MachineCluster
from tests.machines.images import NEW_IMAGE, OLD_IMAGE
from tests.machines.watching import Client, Watcher

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "dist" / "machines"
INSTALL_TIMEOUT, RUN_TIMEOUT = 180.0, 900.0
WEB = "/api/v1/namespaces/shop/services/web:http/proxy/"
FINAL = ("Completed", "Failed")


def users_example(image: str) -> str:
    """The NodeOpUpgrade of the README, character by character, but for its image."""
    block = re.search(
        r"```yaml\n(apiVersion: operator\.kairos\.io/v1alpha1\nkind: NodeOpUpgrade\n.*?)```",
        (REPOSITORY / "README.md").read_text(),
        re.S,
    )
    assert block is not None, "the README has no NodeOpUpgrade"
    changed, count = re.subn(r"(?m)^(  image: ).*$", rf"\g<1>{image}", block[1])
    assert count == 1
    return changed


def upgrade(name: str, image: str, **spec: Any) -> str:
    """Another NodeOpUpgrade like it."""
    body = yaml.safe_load(users_example(image))
    body["metadata"]["name"] = name
    body["spec"].update(spec)
    return json.dumps(body)


class Fleet(MachineCluster):
    """A cluster with the operator, installed by a directory of config/, and with the workload unless it is left out."""

    def __init__(self, names: list[str], installation: str = "default", *, serves: bool = True) -> None:
        super().__init__(names)
        self._installation, self._serves = installation, serves

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.watcher = Watcher(self.plane, self.recording)
            self.watcher.start()
            self._install()
            if self._serves:
                self._serve()
                self.client = Client(self.plane, WEB, self.recording)
                self.client.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *ending: object) -> None:
        self.keep_words()
        for part in ("client", "watcher"):
            if hasattr(self, part):
                getattr(self, part).stop()
        super().__exit__(*ending)

    def _install(self) -> None:
        self.recording.note("test", "install", f"kubectl apply --server-side -k config/{self._installation}")
        self.plane.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "config" / self._installation))
        for place, what in (
            ("kairos-operator-system", "deployment/kairos-operator"),
            ("kairos-node-labeler", "daemonset/kairos-node-labeler"),
        ):
            self._rolled_out(place, what)
        self.wait(
            lambda: self.releases() == {OLD_IMAGE.version}, "every node has its labels", INSTALL_TIMEOUT
        )

    def keep_words(self) -> None:
        """What the operator has said, beside the recording."""
        selector = ("-l", "app.kubernetes.io/component=operator", "--tail=-1", "--prefix")
        said = self.plane.kubectl("-n", "kairos-operator-system", "logs", *selector, check=False).stdout
        RESULTS.mkdir(parents=True, exist_ok=True)
        if said:
            (RESULTS / "operator.log").write_text(said)

    def _serve(self) -> None:
        self.plane.kubectl("create", "namespace", "shop")
        self.plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(workload()))
        self._rolled_out("shop", "deployment/web")

    def _rolled_out(self, namespace: str, what: str) -> None:
        limit = f"--timeout={INSTALL_TIMEOUT:g}s"
        self.plane.kubectl("-n", namespace, "rollout", "status", what, limit, timeout=INSTALL_TIMEOUT + 10)

    def releases(self) -> set[str]:
        """The releases of all nodes, as the labeler tells them."""
        nodes = self.plane.read("nodes")["items"]
        return {node["metadata"]["labels"].get("kairos.io/release", "") for node in nodes}

    def operators(self) -> dict[str, str]:
        """The node of each of the operator's pods."""
        pods = self.plane.read("pods", "-n", "kairos-operator-system")["items"]
        return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in pods}

    def use(self) -> dict[str, tuple[float, float]]:
        """What each of the operator's pods takes, by its kubelet: MiB of memory now, seconds of CPU since its start."""
        found = {}
        for pod, node in self.operators().items():
            summary = f"/api/v1/nodes/{node}/proxy/stats/summary?only_cpu_and_memory=true"
            told = self.plane.kubectl("get", "--raw", summary).stdout
            mine = (one for one in json.loads(told)["pods"] if one["podRef"]["name"] == pod)
            for container in (one for each in mine for one in each["containers"]):
                memory, cpu = container["memory"]["workingSetBytes"], container["cpu"]["usageCoreNanoSeconds"]
                found[pod] = (memory / 2**20, cpu / 1e9)
        return found

    def boots(self) -> dict[str, int]:
        """How often each machine has booted."""
        return {name: len(machine.boot_ids) for name, machine in self.machines.items()}

    def cordoned(self) -> list[str]:
        """The nodes that are cordoned now."""
        nodes = self.plane.read("nodes")["items"]
        return [node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")]

    def run(self, manifest: str) -> dict[str, Any]:
        """Creates an upgrade with `kubectl create`, waits for its end, and returns it."""
        self.recording.note("test", "create", yaml.safe_load(manifest)["metadata"]["name"])
        named = self.plane.kubectl("create", "-f", "-", "-o", "name", stdin=manifest).stdout.strip()

        def now() -> dict[str, Any]:
            body: dict[str, Any] = self.plane.read(named)
            return body

        self.wait(
            lambda: now().get("status", {}).get("phase") in FINAL, f"{named} ends", RUN_TIMEOUT, pause=2
        )
        return now()


LABELS = {"app": "web"}


def web_pod() -> dict[str, Any]:
    """A pod that serves its own name, and ends as a well-behaved server does."""
    serve = "{ httpd -f -p 8080 -h /www & wait; }"
    container = {
        "name": "web",
        "image": NEW_IMAGE.name,
        "command": ["sh", "-c", f"mkdir /www && hostname >/www/index.html && trap 'exit 0' TERM && {serve}"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "4"]}}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": LABELS},
    }
    return {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [container], "topologySpreadConstraints": [spread]},
    }


def workload() -> list[dict[str, Any]]:
    """A Deployment of three with a budget of one, behind a Service."""
    here = {"name": "web", "namespace": "shop"}
    selector = {"matchLabels": LABELS}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": here,
            "spec": {"replicas": 3, "selector": selector, "template": web_pod()},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": here,
            "spec": {"minAvailable": 2, "selector": selector},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here,
            "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
    ]
