"""The fleet's own HTTP client: plain requests and one list-and-watch, on aiohttp.

It shares nothing with the operator's client, so that it can be a witness of what that one does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from kairos_operator.api.resources import Resource
from tests.sandbox.fleet.access import Access

REQUEST_TIMEOUT = 15.0
WATCH_SECONDS = 240
PAUSE = 0.5
"""Seconds before what failed is begun anew."""
PAGE = 500
MERGE = "application/merge-patch+json"


class Answer(Exception):
    """An answer that is no success; status 0 is none at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in (0, 429) or self.status >= 500


class Api:
    """One API server. All methods but `follow` raise Answer for anything but success."""

    def __init__(self, access: Access, in_flight: int = 32) -> None:
        self.access = access
        self._room = asyncio.Semaphore(in_flight)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Opens the connections; `close` ends them."""
        headers = {"User-Agent": "simulated-fleet", "Accept": "application/json"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        connector = aiohttp.TCPConnector(ssl=self.access.trust(), limit=0)
        self._session = aiohttp.ClientSession(self.access.url, headers=headers, connector=connector)

    async def close(self) -> None:
        """Closes the connections, if there are any."""
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        media: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request and its answer's object."""
        data = None if body is None else json.dumps(body)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        try:
            async with (
                self._room,
                self._http.request(
                    method, path, data=data, params=query, headers={"Content-Type": media}, timeout=timeout
                ) as answer,
            ):
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as none:
            raise Answer(0, str(none)) from none
        if answer.status >= 400:
            raise Answer(answer.status, text[:300])
        found: dict[str, Any] = json.loads(text)
        return found

    async def follow(
        self,
        resource: Resource,
        see: Callable[[dict[str, Any]], None],
        gone: Callable[[dict[str, Any]], None],
        listed: asyncio.Event,
    ) -> None:
        """Tells every object of a resource and every change, for ever; lists anew when the watch breaks."""
        known: dict[str, dict[str, Any]] = {}
        while True:
            try:
                version = await self._list(resource, known, see, gone)
                listed.set()
                async for kind, thing in self._watch(resource, version):
                    uid = thing["metadata"]["uid"]
                    if kind == "DELETED":
                        known.pop(uid, None)
                        gone(thing)
                    else:
                        known[uid] = thing
                        see(thing)
            except (Answer, aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(PAUSE)

    async def _list(
        self,
        resource: Resource,
        known: dict[str, dict[str, Any]],
        see: Callable[[dict[str, Any]], None],
        gone: Callable[[dict[str, Any]], None],
    ) -> str:
        query = {"limit": str(PAGE)}
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = await self.call("GET", resource.path(), query=query)
            found |= {one["metadata"]["uid"]: one for one in page["items"]}
            version = str(page["metadata"]["resourceVersion"])
            if not page["metadata"].get("continue"):
                break
            query = {"limit": str(PAGE), "continue": page["metadata"]["continue"]}
        for uid in list(known):
            if uid not in found:
                gone(known.pop(uid))
        for uid, thing in found.items():
            known[uid] = thing
            see(thing)
        return version

    async def _watch(self, resource: Resource, version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
            "allowWatchBookmarks": "true",
        }
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=REQUEST_TIMEOUT, sock_read=WATCH_SECONDS + 30
        )
        async with self._http.get(
            resource.path(), params=query, timeout=timeout, read_bufsize=2**20
        ) as answer:
            if answer.status != 200:
                raise Answer(answer.status, await answer.text())
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise Answer(
                            int(event["object"].get("code", 500)), str(event["object"].get("message"))
                        )
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]

    @property
    def _http(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session
