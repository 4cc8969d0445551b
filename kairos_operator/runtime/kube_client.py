"""`Client` over HTTP: which URL, query and body each call has, and how a watch is read.

A list is read in pages; where the server no longer keeps the history for the next page, once more in one
piece. A watch asks for bookmarks and for an end between 240 and 300 seconds, so that not all end together;
its bytes are split at \\n only, since strings in JSON may hold any other line separator of Unicode.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from kairos_operator.api.resources import PODS, Resource
from kairos_operator.runtime.client import Body, Listing, Object, Patch, PatchKind, WatchEvent
from kairos_operator.runtime.errors import Gone
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.transport import Transport, Verb
from kairos_operator.runtime.watch_lines import parse_event

WATCH_SECONDS = (240, 300)
WATCH_MARGIN = 30.0  # how much longer than asked for a watch may take before it is cut here
PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeClient:
    """`Client` over HTTP.

    `fence` is called before each call that changes something and raises NotLeader to stop it. `on_call` is
    told of every answer: verb, resource, HTTP status ("<error>": none) and seconds; `on_bytes` of every body:
    verb, resource, bytes sent and received, watches as they come. `in_flight` bounds the
    calls (not the watches) under way at once. `timeout` ends one call; `read_timeout` ends a watch in which
    nothing came for so long, not even a bookmark (both in seconds). With `alone`, its calls go over one connection
    that no others use: one that has died costs one call, not as many as others have left dead. `trim` makes items
    of lists smaller, page by page; `decode` reads JSON, and raises ValueError.
    """

    def __init__(
        self,
        api: Kr8sApi,
        *,
        fence: Callable[[], None] | None = None,
        on_call: Callable[[str, str, str, float], None] | None = None,
        on_bytes: Callable[[str, str, int, int], None] | None = None,
        in_flight: int = 16,
        timeout: float = 30.0,
        alone: bool = False,
        read_timeout: float = 120.0,
        rng: random.Random | None = None,
        trim: Callable[[Resource, Object], Object] | None = None,
        decode: Callable[[bytes], Any] = json.loads,
    ) -> None:
        self._api = api
        self._trim = trim or (lambda _, item: item)
        self._decode = decode
        self._transport = Transport(
            api,
            fence=fence,
            on_call=on_call,
            on_bytes=on_bytes,
            decode=decode,
            in_flight=in_flight,
            timeout=timeout,
            alone=alone,
        )
        self._read_timeout = read_timeout
        self._rng = rng or random.Random()

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock at its last answer; None where it did not say."""
        return self._api.server_time

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        return await self._transport.call(Verb("get", res), res.path(namespace, name))

    async def list(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 100,
    ) -> Listing:
        params = _selectors(label_selector, field_selector)
        if limit:
            params["limit"] = str(limit)
        items: list[Object] = []
        while True:
            try:
                page = await self._transport.call(Verb("list", res), res.path(namespace), params=params)
            except Gone:
                if "continue" not in params:
                    raise
                # the pages took longer than the server keeps history: once more, in one piece
                items, params = [], _selectors(label_selector, field_selector)
                continue
            meta = page.get("metadata", {})
            items.extend(self._trim(res, _with_kind(item, res)) for item in page.get("items") or ())
            if not meta.get("continue"):
                return Listing(items, str(meta.get("resourceVersion", "")))
            params["continue"] = meta["continue"]

    async def create(
        self, res: Resource, body: Body, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        params = {"dryRun": "All"} if dry_run else {}
        return await self._transport.call(
            Verb("create", res, writes=not dry_run), res.path(namespace), body=body, params=params
        )

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
        params = {"fieldManager": field_manager} if field_manager else {}
        if force:
            params["force"] = "true"
        return await self._transport.call(
            Verb("patch", res, subresource, writes=True),
            res.path(namespace, name, subresource),
            body=body,
            params=params,
            content_type=PATCH_TYPES[kind],
        )

    async def replace(
        self,
        res: Resource,
        body: Body,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Object:
        return await self._transport.call(
            Verb("update", res, subresource, writes=True), res.path(namespace, name, subresource), body=body
        )

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
        options = _delete_options(uid, resource_version, grace_period_seconds)
        options |= {"propagationPolicy": propagation}
        verb = Verb("delete", res, writes=True)
        return await self._transport.call(verb, res.path(namespace, name), body=options)

    async def delete_collection(self, res: Resource, namespace: str, *, label_selector: str) -> Listing:
        verb = Verb("deletecollection", res, writes=True)
        params = _selectors(label_selector, "") | {"propagationPolicy": "Background"}
        page = await self._transport.call(verb, res.path(namespace), params=params)
        items = [self._trim(res, _with_kind(item, res)) for item in page.get("items") or ()]
        return Listing(items, str((page.get("metadata") or {}).get("resourceVersion", "")))

    async def evict(
        self, name: str, namespace: str, *, uid: str, grace_period_seconds: int | None = None
    ) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": _delete_options(uid, "", grace_period_seconds),
        }
        verb = Verb("create", PODS, "eviction", writes=True)
        await self._transport.call(verb, PODS.path(namespace, name, "eviction"), body=body)

    async def watch(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        seconds = self._rng.randint(*WATCH_SECONDS)
        params = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        verb = Verb("watch", res)
        stream = self._transport.stream(
            verb,
            res.path(namespace),
            params=params,
            total=seconds + WATCH_MARGIN,
            silence=self._read_timeout,
        )
        begun: list[bytes] = []  # a line of a megabyte comes in many chunks
        async with stream as chunks:
            async for chunk in chunks:
                self._transport.count_received(verb, len(chunk))
                begun.append(chunk)
                if b"\n" not in chunk:
                    continue
                *lines, tail = b"".join(begun).split(b"\n")
                begun, lines = [tail], [*filter(bytes.strip, lines)]
                while lines:  # none is kept until the next one comes: it may be megabytes, and minutes
                    yield parse_event(lines.pop(0), self._decode)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    found = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in found.items() if value}


def _delete_options(uid: str, resource_version: str, grace_period_seconds: int | None) -> Object:
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    options: Object = {"preconditions": {name: value for name, value in preconditions.items() if value}}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    return options


def _with_kind(item: Object, res: Resource) -> Object:
    """Items of a list come without kind and apiVersion; everything else has them."""
    item.setdefault("apiVersion", res.api_version)
    item.setdefault("kind", res.kind)
    return item
