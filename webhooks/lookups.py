"""What warnings need to know of the cluster, from caches that are filled elsewhere. Never a call that waits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from kairos_operator.api.names import CONTROL_PLANE_LABELS

Labels = Mapping[str, str]


class Lookups(Protocol):
    """Answers at once; None means "not known", and then nothing is warned of."""

    def node_labels(self) -> Collection[Labels] | None:
        """The labels of every node; best a `NodeLabels`, which need not be searched for control planes."""

    def namespace_labels(self, namespace: str) -> Labels | None:
        """The labels of a namespace."""


class NodeLabels(Collection[Labels]):
    """The labels of every node, kept from change to change, so that a review of a large cluster stays quick."""

    def __init__(self) -> None:
        self._all: dict[str, Labels] = {}
        self._control_planes: dict[str, Labels] = {}

    def observed(self, node: str, labels: Labels | None) -> None:
        """Takes in a node's labels; None for one that is gone."""
        self._control_planes.pop(node, None)
        if labels is None:
            self._all.pop(node, None)
            return
        self._all[node] = labels
        if is_control_plane(labels):
            self._control_planes[node] = labels

    @property
    def control_planes(self) -> Collection[Labels]:
        """The labels of the control-plane nodes."""
        return self._control_planes.values()

    def __iter__(self) -> Iterator[Labels]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, labels: object) -> bool:
        return labels in self._all.values()


def is_control_plane(labels: Labels) -> bool:
    """Whether a node with `labels` is one of the control plane."""
    return any(label in labels for label in CONTROL_PLANE_LABELS)


def control_planes(nodes: Collection[Labels]) -> Collection[Labels]:
    """Those of the nodes that are of the control plane."""
    return (
        nodes.control_planes if isinstance(nodes, NodeLabels) else [n for n in nodes if is_control_plane(n)]
    )


class NoLookups:
    """Knows nothing of any cluster: for manifests that are checked without one."""

    def node_labels(self) -> Collection[Labels] | None:
        return None

    def namespace_labels(self, namespace: str) -> Labels | None:
        return None
