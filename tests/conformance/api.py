"""A plain HTTP client for the suite: every answer is seen as it is on the wire."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import yaml

from tests.cluster.controlplane import Cluster

Body = Any
Kubectl = Callable[..., subprocess.CompletedProcess[str]]  # kubectl in the test's namespace
PATIENCE = 30.0  # seconds that controllers of a real cluster may take


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its body read."""

    code: int
    body: Any
    warnings: list[str] = field(default_factory=list)
    media: str = ""

    @property
    def message(self) -> str:
        return str(self.body["message"])

    @property
    def reason(self) -> str:
        return str(self.body["reason"])

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Reason and field of each cause, sorted."""
        found = self.body.get("details", {}).get("causes", [])
        return sorted((one.get("reason", ""), one.get("field", "")) for one in found)

    def ok(self) -> Any:
        """The body of an answer that must be a success."""
        assert self.code in (200, 201, 202), self.body
        return self.body


class Events:
    """The lines of one open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, Any]:
        """Type and object of the next event; fails when none comes."""
        line = await asyncio.wait_for(self._response.content.readline(), PATIENCE)
        assert line, "the watch has ended"
        event = json.loads(line)
        return event["type"], event["object"]

    async def ended(self) -> bool:
        """Whether the server closes the stream without a further event."""
        return await asyncio.wait_for(self._response.content.readline(), PATIENCE) == b""


class Api:
    """Requests to one server, in one namespace of the test's own."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.space = ""
        self._session = session

    def path(
        self, plural: str, name: str = "", *, group: str = "v1", space: str | None = None, sub: str = ""
    ) -> str:
        """The path of a resource: `group` is "v1" or "batch/v1"; `space` "" means none, None the test's own."""
        namespace = self.space if space is None else space
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        parts = [root, f"namespaces/{namespace}" if namespace else "", plural, name, sub]
        return "/".join(part for part in parts if part)

    async def call(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        media: str = "application/json",
        accept: str = "",
        token: str = "",
        **query: Any,
    ) -> Answer:
        """One request; query values that are empty are left out."""
        headers = {"Authorization": f"Bearer {token or self.cluster.token}", "User-Agent": "conformance/1.0"}
        if accept:
            headers["Accept"] = accept
        data = None
        if body is not None:
            headers["Content-Type"] = media
            data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        params = {key: str(value) for key, value in query.items() if value not in ("", None)}
        async with self._session.request(
            method, self.cluster.url + path, data=data, headers=headers, params=params
        ) as answer:
            text = await answer.text()
            try:
                parsed = json.loads(text)
            except ValueError:
                parsed = text
            return Answer(answer.status, parsed, answer.headers.getall("Warning", []), answer.content_type)

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.call("GET", path, **query)

    async def post(self, path: str, body: Body, **query: Any) -> Answer:
        return await self.call("POST", path, body, **query)

    async def put(self, path: str, body: Body, **query: Any) -> Answer:
        return await self.call("PUT", path, body, **query)

    async def delete(self, path: str, body: Body = None, **query: Any) -> Answer:
        return await self.call("DELETE", path, body, **query)

    async def patch(self, path: str, body: Body, kind: str = "merge-patch+json", **query: Any) -> Answer:
        return await self.call("PATCH", path, body, media=f"application/{kind}", **query)

    async def apply(self, path: str, body: Body, manager: str, **query: Any) -> Answer:
        return await self.patch(path, body, "apply-patch+yaml", fieldManager=manager, **query)

    @asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator[Events]:
        """An open watch; the query's values are passed as they are."""
        params = {
            "watch": "true",
            "timeoutSeconds": "60",
            **{key: str(value) for key, value in query.items()},
        }
        headers = {"Authorization": f"Bearer {self.cluster.token}"}
        async with self._session.get(self.cluster.url + path, params=params, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Events(response)

    async def eventually(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the cluster's controllers have brought something about."""
        end = time.monotonic() + PATIENCE
        while not await look():
            assert time.monotonic() < end, "it did not come about"
            await asyncio.sleep(0.1)

    async def gone(self, path: str) -> None:
        """Wait until an object is gone."""

        async def look() -> bool:
            return (await self.get(path)).code == 404

        await self.eventually(look)


def trust(cluster: Cluster) -> ssl.SSLContext:
    """A TLS context that trusts this cluster's CA alone."""
    return ssl.create_default_context(cafile=str(cluster.ca_file))


def as_yaml(body: Any) -> str:
    """A manifest as people write it."""
    return str(yaml.safe_dump(body))


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The words of each line that kubectl printed."""
    return [line.split() for line in done.stdout.splitlines()]
