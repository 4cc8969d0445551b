"""An admission webhook on loopback that says what the test tells it to say."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.sandbox.apiserver.certificates import make

Reply = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Webhook:
    """Where the webhook listens, what it was asked, and what it answers by path."""

    url: str
    bundle: str
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def on(self, path: str, reply: Reply) -> None:
        """Answer requests to a path; the reply lacks the uid, which is filled in."""
        self.replies[path] = reply

    def entry(self, name: str, path: str, plural: str, group: str, **more: Any) -> dict[str, Any]:
        """An entry of a webhook configuration that concerns creates and updates of a resource."""
        api, _, version = group.rpartition("/")
        rule = {
            "operations": ["CREATE", "UPDATE"],
            "apiGroups": [api],
            "apiVersions": [version],
            "resources": [plural],
        }
        return {
            "name": name,
            "clientConfig": {"url": self.url + path, "caBundle": self.bundle},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }


def allow(_: dict[str, Any], *warnings: str) -> dict[str, Any]:
    return {"allowed": True, "warnings": list(warnings)}


def patch(*operations: dict[str, Any]) -> Reply:
    """A reply that allows with a JSON patch."""
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


@asynccontextmanager
async def webhook(directory: Path) -> AsyncIterator[Webhook]:
    """A webhook that listens while the context lasts."""
    certificates = make(directory)
    found = Webhook("", base64.b64encode(certificates.ca_file.read_bytes()).decode())

    async def answer(request: web.Request) -> web.Response:
        review = await request.json()
        found.asked.append((request.path, review["request"]))
        reply = found.replies[request.path](review["request"])
        body = {**review, "request": None, "response": {"uid": review["request"]["uid"], **reply}}
        return web.json_response(body)

    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server)
    await site.start()
    found.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()
