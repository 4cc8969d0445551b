"""Both webhooks beside a real API server that really calls them, and kubectl as a user runs it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import threading
from collections.abc import Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.cluster.controlplane import Cluster
from tests.webhooks.objects import Object
from webhooks.configurations import by_url, mutating_configuration, validating_configuration
from webhooks.keys import load_into, mint
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

CRDS = Path(__file__).resolve().parents[2] / "crds"
NAMES = {"mutatingwebhookconfiguration": "kairos-test-m", "validatingwebhookconfiguration": "kairos-test-v"}
SETTLING = 30.0
"""Seconds that the API server may take to call a webhook that it was told of."""
T = TypeVar("T")


@contextmanager
def event_loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs beside a test that waits for kubectl."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="webhooks")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work` on a loop of another thread."""
    return asyncio.run_coroutine_threadsafe(work, loop).result(60)


@dataclass
class Facts:
    """The caches that warnings look into."""

    nodes: Collection[Mapping[str, str]] | None = None
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        return self.nodes

    def namespace_labels(self, namespace: str) -> Mapping[str, str] | None:
        return self.namespaces.get(namespace)


@dataclass
class Admission:
    """A cluster with the CRDs, with or without the webhooks."""

    cluster: Cluster
    namespace: str
    facts: Facts

    def run(self, *args: str, obj: Object | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl in the namespace, with `obj` for `-f -`."""
        given = json.dumps(obj) if obj is not None else ""
        return self.cluster.kubectl("-n", self.namespace, *args, stdin=given, check=False)

    def must(self, *args: str, obj: Object | None = None) -> str:
        """What kubectl says on success."""
        done = self.run(*args, obj=obj)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *args: str, obj: Object | None = None) -> str:
        """What kubectl says on failure."""
        done = self.run(*args, obj=obj)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def read(self, kind: str, name: str) -> Any:
        return json.loads(self.must("get", kind, name, "-o", "json"))

    def set_phase(self, kind: str, name: str, phase: str) -> None:
        """As the controller does, through the status subresource."""
        status = {
            "phase": phase,
            "startedAt": "2026-05-04T03:02:01Z",
            "nodeStatuses": {"n": {"phase": phase}},
        }
        patch = json.dumps({"status": status})
        self.must("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)

    def clear(self) -> None:
        self.must("delete", "nodeops,nodeopupgrades", "--all", "--wait=false")


@contextmanager
def with_crds(cluster: Cluster, namespace: str) -> Iterator[Admission]:
    """The cluster with the CRDs as they are committed, and a namespace for the time of the tests."""
    files = [str(path) for path in sorted(CRDS.glob("operator.*.yaml"))]
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", *(part for file in files for part in ("-f", file))
    )
    cluster.kubectl(
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        *(part for file in files for part in ("-f", file)),
    )
    cluster.kubectl("create", "namespace", namespace)
    try:
        yield Admission(cluster, namespace, Facts())
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@contextmanager
def with_webhooks(admission: Admission) -> Iterator[Admission]:
    """The webhooks served on the loopback and registered, for the time of the tests."""
    pair, context = mint(["localhost"], datetime.now(UTC)), server_context()
    load_into(context, pair.certificate, pair.key)
    knowledge = Knowledge("mirror.local/busybox:1.36", admission.facts)
    with event_loop_in_a_thread() as loop:
        server = AdmissionServer(knowledge, context)
        run_in(loop, server.start("127.0.0.1", 0))
        client = by_url(f"https://localhost:{server.port}", base64.b64encode(pair.ca).decode())
        m, v = NAMES.values()
        admission.cluster.apply(mutating_configuration(m, client), validating_configuration(v, client))
        try:
            settle(admission)
            yield admission
        finally:
            for kind, name in NAMES.items():
                admission.cluster.kubectl("delete", kind, name)
            run_in(loop, server.stop())


def settle(admission: Admission) -> None:
    """Waits until the API server calls both webhooks: it learns of them by a watch."""
    loop_end = datetime.now(UTC).timestamp() + SETTLING
    probe = {"apiVersion": "operator.kairos.io/v1alpha1", "metadata": {"name": "settle"}}
    wanted = {"NodeOp": {"command": ["x"], "image": "A B"}, "NodeOpUpgrade": {"image": "A B"}}
    while datetime.now(UTC).timestamp() < loop_end:
        done = [
            admission.run("create", "--dry-run=server", "-f", "-", obj=probe | {"kind": kind, "spec": spec})
            for kind, spec in wanted.items()
        ]
        if all("must not contain whitespace" in one.stderr for one in done):
            return
    raise AssertionError("the API server does not call the webhooks")
