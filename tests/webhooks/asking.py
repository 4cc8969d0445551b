"""Asks a webhook as the API server does, without a server between."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.webhooks.objects import Object, resource_of, review
from webhooks.review import Door, Knowledge, answer, mutate, parse, render, validate

PHASES = ["Running", "Completed", "Failed"]
DOORS = [mutate, validate]


class Cluster:
    """Nodes and namespaces, as far as they are known."""

    def __init__(
        self, nodes: Collection[Mapping[str, str]] | None = None, namespace: Mapping[str, str] | None = None
    ) -> None:
        self.nodes = nodes
        self.namespace = namespace

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        return self.nodes

    def namespace_labels(self, namespace: str) -> Mapping[str, str] | None:
        return self.namespace if namespace == "default" else {}


def ask(door: Door, obj: Object, old: Object | None = None, knowledge: Knowledge | None = None) -> Object:
    request = parse(review(obj, old))
    return render(request, answer(resource_of(obj), door, request, knowledge or Knowledge()))


def refused(door: Door, obj: Object, old: Object | None = None) -> str:
    response = ask(door, obj, old)["response"]
    return "" if response["allowed"] else str(response["status"]["message"])
