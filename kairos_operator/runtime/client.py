"""The calls that the operator makes to Kubernetes, as a protocol: plain dicts in and out, typed errors.

`kube_client.KubeClient` makes them over HTTP; tests and the simulation bring their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kairos_operator.api.resources import Resource

Object = dict[str, Any]
Body = Mapping[str, Any]
Patch = Mapping[str, Any] | list[Any]  # a list for a JSON patch
PatchKind = Literal["merge", "json", "apply"]


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the version of the collection from which a watch goes on."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Added:
    """The object is new, or new to this watch."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Modified:
    """The object changed."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is gone, or no longer selected; `obj` is its last state."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Nothing happened up to this version, so a watch may go on from it."""

    resource_version: str


WatchEvent = Added | Modified | Deleted | Bookmark


class Client(Protocol):
    """The API server, as the runtime uses it. Every method raises the types of `runtime.errors`."""

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        """One object."""

    async def list(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 100,
    ) -> Listing:
        """All objects that match, read in pages of `limit`."""

    async def create(
        self, res: Resource, body: Body, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """Create an object; raises AlreadyExists where its name is taken."""

    async def patch(
        self,
        res: Resource,
        name: str,
        body: Patch,
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Change an object; a `metadata.resourceVersion` in the body makes it conditional (Conflict)."""

    async def replace(
        self,
        res: Resource,
        body: Body,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Object:
        """Write the whole object; conditional on its resourceVersion, if it has one (Conflict)."""

    async def delete(
        self,
        res: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "Background",
        grace_period_seconds: int | None = None,
    ) -> Object:
        """Delete an object; with `uid` or `resource_version` only that very one (Conflict). Returns it as it is left,
        with a deletionTimestamp, where it is not gone at once; otherwise its last state or a Status.
        """

    async def delete_collection(self, res: Resource, namespace: str, *, label_selector: str) -> Listing:
        """Delete all objects of a namespace that match; returns them as they were, or as they are left."""

    async def evict(
        self, name: str, namespace: str, *, uid: str, grace_period_seconds: int | None = None
    ) -> None:
        """Evict that very pod; raises TooManyRequests where a PodDisruptionBudget forbids it for now."""

    def watch(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """What happens after a version, until the server ends the watch; raises Gone if that is too old."""
