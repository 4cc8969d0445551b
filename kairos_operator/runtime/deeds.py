"""One action, one call: how each kind of action is done, and what the answer means.

What the API server answers goes into the caches at once. An action whose subject is gone has had its effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kairos_operator.api.names import (
    ANNOTATION_CLAIMED_BY,
    ANNOTATION_CORDONED_BY,
    ANNOTATION_PAUSED,
    ANNOTATION_PAUSED_BY,
    FINALIZER,
    LABEL_NODE,
    LABEL_NODE_OP,
    ROLE_LABELS,
    shortened,
)
from kairos_operator.api.objects import Meta
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, NODES, PODS, Resource
from kairos_operator.core.actions import (
    Action,
    ClaimNode,
    Create,
    Delete,
    DeleteChecks,
    EvictPod,
    Note,
    PauseNodeOp,
    ReleaseNode,
    SetFinalizer,
)
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.errors import AlreadyExists, Conflict, NotFound
from kairos_operator.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Deeds:
    """Does actions for one operation at a time; every method raises the types of `runtime.errors`."""

    client: Client
    caches: Caches

    async def do(self, resource: Resource, meta: Meta, action: Action) -> Note | None:
        """Do one action of the operation `meta`, which is a `resource`; returns what is to be said of it."""
        match action:
            case Create():
                await self._create(meta.namespace, action)
            case Delete():
                await self._delete(meta.namespace, action)
            case DeleteChecks():
                await self._delete_checks(meta, action)
            case EvictPod():
                await self._evict(action)
            case ClaimNode():
                await self._claim(action)
                return Note("Cordoned", f"Cordoned {action.node}", action.node) if action.cordon else None
            case ReleaseNode():
                await self.release(action)
                return (
                    Note("Uncordoned", f"Uncordoned {action.node}", action.node) if action.uncordon else None
                )
            case SetFinalizer():
                await self._finalizer(resource, meta, action)
            case PauseNodeOp():
                await self._pause(meta.namespace, action)
        return None

    async def _create(self, namespace: str, action: Create) -> None:
        try:
            created = await self.client.create(action.resource, action.make(), namespace)
        except AlreadyExists:
            if self.caches.of(action.resource) is None:
                return
            # Ours from before a crash or a lost answer, or somebody else's: the next plan looks at its owner.
            created = await self.client.get(action.resource, action.name, namespace)
        self.observed(action.resource, created)

    async def _delete(self, namespace: str, action: Delete) -> None:
        store = self.caches.of(action.resource)
        try:
            last = await self.client.delete(action.resource, action.name, namespace, uid=action.uid)
        except (NotFound, Conflict):
            last = {}  # Gone, or another object of that name, which is what the UID precondition tells.
        if store is not None:
            _ended(store, action.name, namespace, action.uid, last)

    async def _delete_checks(self, meta: Meta, action: DeleteChecks) -> None:
        nodes = ",".join(shortened(node) for node in action.nodes)
        ours = f"{LABEL_NODE_OP}={shortened(meta.name)},{LABEL_NODE} in ({nodes}),{ROLE_LABELS[action.role]}=true"
        listing = await self.client.delete_collection(PODS, meta.namespace, label_selector=ours)
        left = {item["metadata"]["uid"]: item for item in listing.items}
        for _, name, uid in action.pods:
            _ended(self.caches.pods, name, meta.namespace, uid, left.get(uid, {}))

    async def _evict(self, action: EvictPod) -> None:
        try:
            await self.client.evict(
                action.name,
                action.namespace,
                uid=action.uid,
                grace_period_seconds=action.grace_period_seconds,
            )
        except (NotFound, Conflict):
            return  # it is gone; if one of its name is there now, the next look finds that

    async def _claim(self, action: ClaimNode) -> None:
        annotations = {ANNOTATION_CLAIMED_BY: str(action.claim)}
        if action.cordon:
            annotations[ANNOTATION_CORDONED_BY] = str(action.claim)
        body: dict[str, Any] = {
            "metadata": {"resourceVersion": action.resource_version, "annotations": annotations}
        }
        if action.cordon:
            body["spec"] = {"unschedulable": True}
        self.observed(NODES, await self.client.patch(NODES, action.node, body, kind="merge"))

    async def release(self, action: ReleaseNode) -> None:
        """Take a claim off a node."""
        annotations: dict[str, None] = {}
        node = self.caches.nodes.get(action.node)
        if node is None or node.claimed_by == str(action.claim):
            annotations[ANNOTATION_CLAIMED_BY] = None
        body: dict[str, Any] = {
            "metadata": {"resourceVersion": action.resource_version, "annotations": annotations}
        }
        if action.uncordon:
            annotations[ANNOTATION_CORDONED_BY] = None
            body["spec"] = {"unschedulable": None}
        try:
            self.observed(NODES, await self.client.patch(NODES, action.node, body, kind="merge"))
        except NotFound:
            return  # a node that is gone holds nothing

    async def _finalizer(self, resource: Resource, meta: Meta, action: SetFinalizer) -> None:
        others = [finalizer for finalizer in meta.finalizers if finalizer != FINALIZER]
        finalizers = [*others, FINALIZER] if action.present else others
        body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": finalizers}}
        try:
            written = await self.client.patch(resource, meta.name, body, meta.namespace, kind="merge")
        except NotFound:
            return
        self.observed(resource, written)

    async def _pause(self, namespace: str, action: PauseNodeOp) -> None:
        value = {ANNOTATION_PAUSED: "true", ANNOTATION_PAUSED_BY: NODE_OP_UPGRADES.kind}
        annotations = value if action.paused else dict.fromkeys(value)
        body = {"metadata": {"annotations": annotations}}
        self.observed(NODE_OPS, await self.client.patch(NODE_OPS, action.name, body, namespace, kind="merge"))

    def observed(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Take an answer of the API server into its cache, if it has one."""
        store = self.caches.of(resource)
        if store is not None:
            store.observed(obj)


def _ended(store: Store[Any], name: str, namespace: str, uid: str, last: Mapping[str, Any]) -> None:
    """Take in what an object was, or is left as, when it was deleted."""
    told = last.get("metadata") or {}
    if "deletionTimestamp" not in told:
        store.forget(name, namespace, uid=uid)
    # It ends in its own time. A real API server's answer may be without a version: then the watch will tell.
    elif told.get("name") and told.get("resourceVersion"):
        store.observed(last)
