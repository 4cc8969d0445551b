"""What warnings need to know of the cluster, from caches that are filled elsewhere. Never a call that waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

Labels = Mapping[str, str]


class Lookups(Protocol):
    """Answers at once; None means "not known", and then nothing is warned of."""

    def node_labels(self) -> Collection[Labels] | None:
        """The labels of every node."""

    def namespace_labels(self, namespace: str) -> Labels | None:
        """The labels of a namespace."""


class NoLookups:
    """Knows nothing of any cluster: for manifests that are checked without one."""

    def node_labels(self) -> Collection[Labels] | None:
        return None

    def namespace_labels(self, namespace: str) -> Labels | None:
        return None
