"""What the judge keeps of each operation: what it has in flight on which node, and whose the cordons are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kairos_operator.api.base import moment
from kairos_operator.api.names import ANNOTATION_CLAIMED_BY, ANNOTATION_CORDONED_BY
from kairos_operator.api.resources import NODES
from tests.sim.cluster import START, Cluster, Object
from tests.sim.sights import Sights
from tests.sim.truth import OLDEST_ANSWER, Broken, Truth

FINAL = ("Completed", "Failed")


def bearings(node: Object | None) -> tuple[str, str]:
    """Who claims a node, and who says that its cordon is theirs."""
    annotations = ((node or {"metadata": {}})["metadata"]).get("annotations") or {}
    return annotations.get(ANNOTATION_CLAIMED_BY, ""), annotations.get(ANNOTATION_CORDONED_BY, "")


@dataclass(slots=True)
class Operation:
    """One NodeOp, as it is stored now and what it has begun."""

    obj: Object
    gone: bool = False
    jobs: dict[str, list[str]] = field(default_factory=dict)  # UIDs of the Jobs that were made, by node
    tokens: dict[str, set[str]] = field(default_factory=dict)  # what is in flight, by node
    step_began: dict[str, float] = field(default_factory=dict)  # by node, in true time
    started_on: dict[str, str] = field(default_factory=dict)  # UIDs of the Nodes that were started, by node

    @property
    def name(self) -> str:
        """The operation as users write it."""
        return f"{self.obj['metadata']['namespace']}/{self.obj['metadata']['name']}"

    @property
    def uid(self) -> str:
        """Its UID."""
        return str(self.obj["metadata"]["uid"])

    @property
    def claim(self) -> str:
        """What it writes on nodes."""
        return f"{self.name}@{self.uid}"

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec."""
        spec: Mapping[str, Any] = self.obj["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status."""
        return self.obj.get("status") or {}

    @property
    def reboots(self) -> bool:
        """Whether it reboots nodes."""
        return bool(self.spec.get("rebootOnSuccess"))

    @property
    def disrupts(self) -> bool:
        """Whether it must hold its nodes alone."""
        return bool(self.reboots or self.spec.get("cordon"))

    @property
    def drains(self) -> bool:
        """Whether it drains nodes."""
        return bool((self.spec.get("drainOptions") or {}).get("enabled"))

    @property
    def deleting(self) -> bool:
        """Whether it is about to go."""
        return "deletionTimestamp" in self.obj["metadata"]

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.status.get("phase") in FINAL

    def deleting_since(self, obj: Object | None) -> float | None:
        """When its deletion was asked for, in seconds; None if it was not."""
        at = moment(((obj or self.obj)["metadata"]).get("deletionTimestamp"))
        return None if at is None else (at - START).total_seconds()

    def record(self, node: str) -> Mapping[str, Any]:
        """What its status says of a node."""
        found: Mapping[str, Any] = (self.status.get("nodeStatuses") or {}).get(node) or {}
        return found

    def in_flight(self, node: str) -> bool:
        """Whether its status has the node in flight."""
        return self.record(node).get("step", "Done") not in ("Waiting", "Done")

    def decided(self, node: str) -> bool:
        """Whether its status holds a verdict about the node."""
        return "outcome" in self.record(node)

    def awaits(self, check: Object) -> bool:
        """Whether its status is at the very check that this pod makes."""
        step = self.record(check["spec"]["nodeName"]).get("step")
        return (
            step in ("Preflight", "Postflight") and f"kairos.io/{step.lower()}" in check["metadata"]["labels"]
        )

    def knew_of(self, node: str, job: str) -> bool:
        """Whether its status has named this Job."""
        return self.record(node).get("jobUID") == job

    def may_begin(self, what: str, node: str) -> None:
        """Something is begun on a node: it must be in flight there, and claimed in the status before."""
        if self.final:
            raise Broken(f"{self.name} is finished, and yet begins {what} on {node}")
        if not self.in_flight(node):
            raise Broken(f"{self.name} begins {what} on {node} without having stored that it does")
        if self.decided(node):
            raise Broken(f"{self.name} begins {what} on {node} after its verdict")

    def note_steps(self, before: Object, now: float) -> None:
        """Remember when each node's step began, and which Node it was started on, which no verdict holds any more."""
        old = (before.get("status") or {}).get("nodeStatuses") or {}
        for name, record in (self.status.get("nodeStatuses") or {}).items():
            step, was = record.get("step"), (old.get(name) or {}).get("step")
            if "nodeUID" in record:
                self.started_on[name] = record["nodeUID"]
            if step != was:
                began = moment(record.get("stepStartedAt"))
                told = (began - START).total_seconds() if began is not None else now
                # The write may have been on its way for so long, and no longer.
                self.step_began[f"{name} {step}"] = min(now, max(told, now - OLDEST_ANSWER))


class Ledger:
    """All operations, and the cordons that are theirs."""

    def __init__(self, cluster: Cluster, truth: Truth) -> None:
        self.cluster = cluster
        self.truth = truth
        self.operations: dict[str, Operation] = {}
        self.uncordoned: dict[str, float] = {}  # node -> when somebody else lifted a cordon on it
        self.cordons: dict[str, str] = {}  # node -> the claim that rightly stands for its cordon
        self.sights = Sights(cluster)

    def stands(self, node: str) -> str:
        """The UID of a Node that has been there for longer than any answer about it could have been on its way."""
        found = self.cluster.find(NODES, node)
        made = moment(found["metadata"]["creationTimestamp"]) if found is not None else None
        if found is None or made is None or (self.cluster.clock() - made).total_seconds() <= OLDEST_ANSWER:
            return ""
        return str(found["metadata"]["uid"])

    def ready_long_ago(self, node: str) -> bool:
        """Whether a node has been Ready for so long that everybody can have heard of it."""
        found = self.cluster.find(NODES, node)
        conditions = found["status"]["conditions"] if found is not None else ()
        ready = next((one for one in conditions if one["type"] == "Ready" and one["status"] == "True"), None)
        since = moment(ready["lastTransitionTime"]) if ready is not None else None
        return since is not None and (self.cluster.clock() - since).total_seconds() > OLDEST_ANSWER

    def back_long_ago(self, operation: Operation, node: str) -> bool:
        """The same of one that has rebooted for the operation, and shows another boot than those before."""
        found, record = self.cluster.find(NODES, node), operation.record(node)
        if found is None or (operation.uid, node) not in self.truth.came_back:
            return False
        before = (record.get("bootID"), record.get("rebootedFrom"))
        return self.ready_long_ago(node) and found["status"]["nodeInfo"]["bootID"] not in before

    def may_begin(self, operation: Operation, what: str, node: str) -> None:
        """Something is begun on a node, which must be in flight, and still the node that was started."""
        operation.may_begin(what, node)
        started, stands = operation.record(node).get("nodeUID"), self.stands(node)
        if stands and started not in (None, stands):
            raise Broken(f"{operation.name} begins {what} on {node}, which is another node by now")

    def lost(self, operation: Operation, node: str) -> bool:
        """Whether the node that was started is gone, or registered anew so lately that nobody need know of it."""
        found, started = self.cluster.find(NODES, node), operation.started_on.get(node)
        return found is None or (not self.stands(node) and started not in (None, found["metadata"]["uid"]))

    def by_claim(self, claim: str) -> Operation | None:
        """The operation that a claim names, if it was ever there."""
        return self.operations.get(claim.rpartition("@")[2])

    def holder(self, claim: str) -> Operation:
        """The operation that a claim names; raises Broken where there never was one."""
        found = self.by_claim(claim)
        if found is None:
            raise Broken(f"a node is claimed for {claim!r}, which never was")
        return found

    def take(self, operation: Operation, node: str, token: str) -> None:
        """The operation has something more in flight on the node."""
        operation.tokens.setdefault(node, set()).add(token)
        limit = operation.spec.get("concurrency") or 0
        busy = self.busy(operation)
        if limit and len(busy) > limit and node in busy:
            raise Broken(
                f"{operation.name} has {len(busy)} nodes in flight instead of {limit}: {', '.join(busy)}"
            )
        if operation.disrupts and not token.startswith(("preflight", "postflight")):
            self._alone(operation, node, token)

    def drop(self, operation: Operation, node: str, token: str) -> None:
        """Something is no longer in flight."""
        operation.tokens.get(node, set()).discard(token)

    def busy(self, operation: Operation) -> list[str]:
        """The nodes that the operation has in flight, as the world sees it."""
        found = set()
        for node, tokens in operation.tokens.items():
            if any(not self._harmless(operation, node, token) for token in tokens):
                found.add(node)
        for node, uid in self.truth.rebooting.items():
            if uid == operation.uid and operation.record(node).get("outcome") != "Failed":
                found.add(node)
        return sorted(found)

    def _harmless(self, operation: Operation, node: str, token: str) -> bool:
        """Whether what is still there can do nothing more: a check after its verdict, a reboot pod after its reboot."""
        if token.startswith("reboot pod"):
            return (operation.uid, node) in self.truth.came_back
        return "flight pod" in token and operation.record(node).get("step") == "Done"

    def _alone(self, operation: Operation, node: str, token: str) -> None:
        for other in self.operations.values():
            if other is operation or other.gone or other.deleting or not other.disrupts:
                continue
            tokens = sorted(other.tokens.get(node, ()))
            theirs = [t for t in tokens if "flight" not in t and not self._harmless(other, node, t)]
            if theirs and other.record(node).get("step") != "Done":
                raise Broken(f"{operation.name} begins {token} on {node}, where {other.name} has {theirs[0]}")
