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

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from kairos_operator.api.resources import PODS, SERVICE_ACCOUNTS, Resource
from kairos_operator.runtime.client import Body, Listing, Object, Patch, PatchKind, WatchEvent
from kairos_operator.runtime.errors import ApiError, Unreachable, from_status
from tests.sandbox.store import StatusError, Store
from tests.sim.clockwork import ProcessLoop
from tests.sim.cluster import Cluster
from tests.sim.streams import Stream
from tests.sim.weather import Fault, Weather

TIMEOUT = 30.0
_REFUSALS = {
    Fault.CONFLICT: (
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
    ),
    Fault.THROTTLED: (429, "TooManyRequests", "the server has received too many requests"),
    Fault.BROKEN: (500, "InternalError", "etcdserver: leader changed"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "apiserver not ready"),
}
_CUTS = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_LATE)
_NO_EFFECT = (*_REFUSALS, Fault.CUT_BEFORE, Fault.HANG_BEFORE)


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
        self._loop = loop
        self._cluster = cluster
        self._weather = weather
        self._crash = crash
        self._outage = outage
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
    ) -> None:
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

        await self._call("delete", res, name, namespace, remove, writes=True)

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
            return Stream(self.name, res.plural, events, self._loop, self._cluster, self._weather)

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
        call = _Call(self, verb, f"{verb} {res.plural} {target}", effect, writes=writes, guarded=guarded)
        return await call.begun()


class _Call:
    """One request on its way: there, its effect, and back."""

    def __init__(
        self,
        client: SimClient,
        verb: str,
        what: str,
        effect: Callable[[Store], Any],
        *,
        writes: bool,
        guarded: bool,
    ) -> None:
        self.client = client
        self.verb = verb
        self.what = what
        self.effect = effect
        self.cluster = client._cluster
        fate = client._weather.of_call(
            self.cluster.now, client.name, what, writes=writes, may_conflict=guarded
        )
        self.fault, self.there, self.back = fate.fault, fate.there, fate.back
        self.answer: asyncio.Future[Any] = client._loop.create_future()

    def begun(self) -> asyncio.Future[Any]:
        """Send the request; the future is its answer."""
        timeline = self.cluster.timeline
        if timeline.now < self.client._outage():
            self.fault = Fault.CUT_BEFORE
        if self.fault is not Fault.NONE:
            self.cluster.journal.detail(
                timeline.now, self.client.name, "", self.what, f"weather: {self.fault.value}"
            )
        if self.fault is Fault.CRASH_BEFORE:
            timeline.after(0.0, lambda: self.client._crash(f"before {self.what}"))
        elif self.fault is Fault.CUT_LATE:
            timeline.after(min(self.there, 0.05), lambda: self._deliver(None, self._lost()))
            timeline.after(self.there, self._arrive)
        else:
            timeline.after(self.there, self._arrive)
        return self.answer

    def _arrive(self) -> None:
        result, error = None, None
        if self.fault in _REFUSALS:
            code, reason, message = _REFUSALS[self.fault]
            error = from_status(code, {"reason": reason, "message": message})
        elif self.fault not in _NO_EFFECT:
            try:
                result = self.cluster.write(self.client.name, self.effect, self.verb)
            except StatusError as refused:
                error = from_status(refused.code, refused.status)
        self._detail(error)
        back = self.back
        if self.fault in _CUTS:
            result, error = None, self._lost()
        elif self.fault in (Fault.HANG_BEFORE, Fault.HANG_AFTER):
            result, error, back = None, self._lost(), TIMEOUT - self.there
        if self.fault is Fault.CRASH_AFTER:
            self.client._crash(f"after {self.what}")
        elif self.fault is Fault.CRASH_LATER:
            self.cluster.timeline.after(
                back + 0.01, lambda: self.client._crash(f"a little after {self.what}")
            )
        self.cluster.timeline.after(back, lambda: self._deliver(result, error))

    def _detail(self, error: ApiError | None) -> None:
        journal = self.cluster.journal
        if journal.detailed and "watch" not in self.what:
            outcome = f"{type(error).__name__}: {error.message}" if error is not None else ""
            journal.detail(self.cluster.now, self.client.name, "", self.what, outcome)

    def _lost(self) -> Unreachable:
        return Unreachable(f"no answer to {self.what}")

    def _deliver(self, result: Any, error: ApiError | None) -> None:
        if self.answer.done() or self.client._loop.dead:
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)


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
