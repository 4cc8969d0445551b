"""Since when something has been there for everybody to see."""

from __future__ import annotations

from kairos_operator.api.names import ANNOTATION_PAUSED
from tests.sim.cluster import Cluster, Object
from tests.sim.truth import OLDEST_ANSWER, owner_uid


class Sights:
    """Checks that have passed, and upgrades that are paused."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._passed: dict[tuple[str, str, str], float] = {}  # operation, node, role: since when
        self._held: dict[str, float] = {}  # UIDs of upgrades: since when

    def check_seen(self, pod: Object, role: str, *, there: bool) -> None:
        """How a check's pod is now; one that is gone tells nobody anything any more."""
        key = (owner_uid(pod), pod["spec"]["nodeName"], role)
        if not there:
            self._passed.pop(key, None)
        elif (pod.get("status") or {}).get("phase") == "Succeeded":
            self._passed.setdefault(key, self._cluster.now)

    def upgrade_seen(self, upgrade: Object) -> None:
        """How an upgrade is now."""
        if (upgrade["metadata"].get("annotations") or {}).get(ANNOTATION_PAUSED) == "true":
            self._held.setdefault(upgrade["metadata"]["uid"], self._cluster.now)
        else:
            self._held.pop(upgrade["metadata"]["uid"], None)

    def passed_long_ago(self, operation: str, node: str, role: str) -> bool:
        """Whether a check of a node had passed so long ago that everybody can have heard of it."""
        return self._long_ago(self._passed.get((operation, node, role)))

    def held_long_ago(self, operation: Object) -> bool:
        """Whether an operation's upgrade was paused so long ago that everybody can have heard of it."""
        return self._long_ago(self._held.get(owner_uid(operation)))

    def _long_ago(self, since: float | None) -> bool:
        return since is not None and self._cluster.now - since > OLDEST_ANSWER
