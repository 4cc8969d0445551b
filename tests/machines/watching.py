"""Sees from outside what happens in the cluster, through watches, and writes it into the recording.

Rules: it reads Nodes, Jobs, operations and pods as anybody could, and nothing that the operator says of itself counts
as a fact about a node. An API server that ends a watch is watched again, from a new list.
"""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.cluster.controlplane import Cluster
from tests.machines.recording import Recording

WATCH_SECONDS = 30
Facts = dict[str, str]
WATCHED = {
    "/api/v1/nodes": "node",
    "/apis/batch/v1/jobs": "job",
    "/apis/operator.kairos.io/v1alpha1/nodeopupgrades": "upgrade",
    "/api/v1/pods": "pod",
    "/apis/coordination.k8s.io/v1/namespaces/kairos-operator-system/leases": "lease",
}


def facts_of(kind: str, body: dict[str, Any]) -> Facts:
    """What is worth a line when it changes."""
    meta, status = body["metadata"], body.get("status", {})
    true = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
    if kind == "node":
        return {
            "cordoned": str(body["spec"].get("unschedulable", False)).lower(),
            "ready": str("Ready" in true).lower(),
            "bootID": status.get("nodeInfo", {}).get("bootID", ""),
            "release": meta.get("labels", {}).get("kairos.io/release", ""),
        }
    if kind == "lease":
        return {"leads": (body["spec"].get("holderIdentity") or "nobody").partition("_")[0]}
    if kind == "job":
        return {"job": next((end for end in ("Complete", "Failed") if end in true), "running")}
    if kind == "upgrade":
        nodes = status.get("nodeStatuses", {}).items()
        said = {f"says of {name}": node.get("message", "") for name, node in nodes}
        return {"phase": status.get("phase", ""), "says": status.get("message", ""), **said}
    ending = ", ending" if "deletionTimestamp" in meta else ""
    return {"pod": f"{status.get('phase', '')}{ending} on {body['spec'].get('nodeName', 'no node')}"}


class Watcher:
    """Watches until `stop`, and notes what changed of every object, and that a pod is gone."""

    def __init__(self, cluster: Cluster, recording: Recording) -> None:
        self._cluster, self._recording = cluster, recording
        self._trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._stopping = threading.Event()
        self._known: dict[tuple[str, str], Facts] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(path, kind), daemon=True)
            for path, kind in WATCHED.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self, path: str, kind: str) -> None:
        while not self._stopping.is_set():
            try:
                for body in self._objects(path):
                    self._note(kind, body)
                    if self._stopping.is_set():
                        return
            except (OSError, ValueError):
                self._stopping.wait(0.5)  # the API server is away, or the kind is not installed yet

    def _objects(self, path: str) -> Iterator[dict[str, Any]]:
        listed = json.loads(b"".join(self._lines(path)))
        yield from listed["items"]
        since = listed["metadata"]["resourceVersion"]
        for line in self._lines(f"{path}?watch=1&resourceVersion={since}&timeoutSeconds={WATCH_SECONDS}"):
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                yield event["object"]
            elif event["type"] == "DELETED" and event["object"]["kind"] == "Pod":
                self._note_end(event["object"])

    def _lines(self, path: str) -> Iterator[bytes]:
        headers = {"Authorization": f"Bearer {self._cluster.token}"}
        request = urllib.request.Request(self._cluster.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=WATCH_SECONDS + 10, context=self._trust) as answer:
            yield from answer

    def _note_end(self, pod: dict[str, Any]) -> None:
        node = pod["spec"].get("nodeName", "no node")
        self._recording.note(pod["metadata"]["name"], "pod", f"gone from {node}")

    def _note(self, kind: str, body: dict[str, Any]) -> None:
        meta = body["metadata"]
        key = (kind, f"{meta.get('namespace', '')}/{meta['name']}")
        known, found = self._known.get(key, {}), facts_of(kind, body)
        self._known[key] = found
        for what, value in found.items():
            if known.get(what, "") != value:
                self._recording.note(meta["name"], what, value)


class Client:
    """Asks a Service for its page again and again, through the API server's proxy, and counts the answers."""

    def __init__(self, cluster: Cluster, path: str, recording: Recording, pause: float = 0.25) -> None:
        self.answers, self.failures = 0, list[str]()
        self.answered_by: set[str] = set()
        self._request = urllib.request.Request(
            cluster.url + path, headers={"Authorization": f"Bearer {cluster.token}"}
        )
        self._trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._recording, self._pause = recording, pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                with urllib.request.urlopen(self._request, timeout=5, context=self._trust) as answer:
                    self.answered_by.add(answer.read().decode().strip())
                self.answers += 1
            except OSError as error:
                said = (
                    error.read().decode()[-300:] if isinstance(error, urllib.error.HTTPError) else str(error)
                )
                self.failures.append(said)
                self._recording.note("client", "not served", said)
            self._stopping.wait(self._pause)
