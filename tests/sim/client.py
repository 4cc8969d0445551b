"""The operator's client, through which all weather reaches it.

What is modelled, and what is not:
- reads by name and lists are answered from the state of the moment in which the server works on them, as the real
  server does for requests without a resourceVersion; the answer may be long on its way, and so be old when it arrives;
- watches are the lagging part: each stream is late by its own, changing delay, in order within itself and in no order
  among each other; it may be closed, cut, fall silent or end with 410;
- an effect may happen without an answer, and after the client has given up waiting for it;
- a fenced client is asked before a write is sent, never afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from kairos_operator.api.resources import PODS, SERVICE_ACCOUNTS, Resource
from kairos_operator.runtime.client import Body, Listing, Object, Patch, PatchKind, WatchEvent
from kairos_operator.runtime.errors import Unreachable
from tests.sandbox.store import StatusError, Store
from tests.sim.calls import Call
from tests.sim.clockwork import ProcessLoop
from tests.sim.cluster import Cluster
from tests.sim.streams import Stream
from tests.sim.weather import Weather


class SimClient:
    """One replica's client. `crash` ends the replica; `outage` tells until when nobody is answered."""

    def __init__(
        self,
        name: str,
        loop: ProcessLoop,
        cluster: Cluster,
        weather: Weather,
        *,
        crash: Callable[[str], None],
        outage: Callable[[], float],
        fence: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.calls = 0
        self.closed = False  # after the simulation: nothing is sent any more
        self.loop = loop
        self.cluster = cluster
        self.weather = weather
        self.crash = crash
        self.outage = outage
        self._fence = fence

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        found: Object = await self._call("get", res, name, namespace, lambda s: s.get(res, name, namespace))
        return found

    async def list(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Listing:
        def read(store: Store) -> Listing:
            page = store.list(res, namespace, label_selector=label_selector, field_selector=field_selector)
            return Listing(page.items, page.resource_version)

        found: Listing = await self._call("list", res, field_selector, namespace, read)
        return found

    async def create(
        self, res: Resource, body: Body, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        def make(store: Store) -> Object:
            _admit(store, res, body, namespace)
            return store.create(res, dict(body), namespace, dry_run=dry_run)

        made: Object = await self._call("create", res, _name_of(body), namespace, make, writes=not dry_run)
        return made

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
        def change(store: Store) -> Object:
            return store.patch(
                res,
                name,
                body,
                namespace,
                kind=kind,
                subresource=subresource,
                field_manager=field_manager,
                force=force,
            )

        guarded = isinstance(body, dict) and "resourceVersion" in (body.get("metadata") or {})
        verb = f"patch/{subresource}" if subresource else "patch"
        changed: Object = await self._call(verb, res, name, namespace, change, writes=True, guarded=guarded)
        return changed

    async def replace(
        self, res: Resource, body: Body, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        def change(store: Store) -> Object:
            return store.replace(
                res, dict(body), name, namespace, subresource="status" if subresource else ""
            )

        changed: Object = await self._call("update", res, name, namespace, change, writes=True, guarded=True)
        return changed

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
        def remove(store: Store) -> Object:
            return store.delete(
                res,
                name,
                namespace,
                uid=uid,
                resource_version=resource_version,
                propagation=propagation,  # type: ignore[arg-type]
                grace_period_seconds=grace_period_seconds,
            )

        last: Object = await self._call("delete", res, name, namespace, remove, writes=True)
        return last

    async def delete_collection(self, res: Resource, namespace: str, *, label_selector: str) -> Listing:
        def remove(store: Store) -> Listing:
            page = store.list(res, namespace, label_selector=label_selector)
            last = [store.delete(res, one["metadata"]["name"], namespace) for one in page.items]
            return Listing(last, page.resource_version)

        found: Listing = await self._call(
            "deletecollection", res, label_selector, namespace, remove, writes=True
        )
        return found

    async def evict(
        self, name: str, namespace: str, *, uid: str, grace_period_seconds: int | None = None
    ) -> None:
        def ask(store: Store) -> Object:
            return store.evict(name, namespace, uid=uid, grace_period_seconds=grace_period_seconds)

        await self._call("evict", PODS, name, namespace, ask, writes=True)

    async def watch(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        def begin(store: Store) -> Stream:
            events = store.watch(
                res,
                namespace,
                resource_version=resource_version,
                label_selector=label_selector,
                field_selector=field_selector,
            )
            return Stream(self.name, res.plural, events, self.loop, self.cluster, self.weather)

        stream: Stream = await self._call("watch", res, "", namespace, begin)
        try:
            while True:
                batch = await stream.next()
                if batch is None:
                    return
                for event in batch:
                    yield event
        finally:
            stream.close()

    async def _call(
        self,
        verb: str,
        res: Resource,
        name: str,
        namespace: str | None,
        effect: Callable[[Store], Any],
        *,
        writes: bool = False,
        guarded: bool = False,
    ) -> Any:
        if self.closed:
            raise Unreachable("the simulation is over")
        if writes and self._fence is not None:
            self._fence()
        self.calls += 1
        target = f"{namespace}/{name}" if namespace else name
        call = Call(self, verb, f"{verb} {res.plural} {target}", effect, writes=writes, guarded=guarded)
        return await call.begun()


def _admit(store: Store, res: Resource, body: Body, namespace: str | None) -> None:
    """The ServiceAccount admission: a pod of an account that does not exist is refused."""
    account = (body.get("spec") or {}).get("serviceAccountName") if res == PODS else None
    if not account:
        return
    try:
        store.get(SERVICE_ACCOUNTS, account, namespace)
    except StatusError as missing:
        name = body["metadata"]["name"]
        text = f'pods "{name}" is forbidden: error looking up service account {namespace}/{account}'
        raise StatusError(403, "Forbidden", text) from missing


def _name_of(body: Body) -> str:
    metadata = body.get("metadata") or {}
    return str(metadata.get("name") or metadata.get("generateName") or "")
