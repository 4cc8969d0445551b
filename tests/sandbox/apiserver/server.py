"""The API server over HTTPS: authentication, routing, faults, and its life.

It listens on loopback with a certificate of its own CA. Whoever has a token may do everything.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.sandbox.apiserver import bodies
from tests.sandbox.apiserver.admission import Admission
from tests.sandbox.apiserver.answers import refusal
from tests.sandbox.apiserver.certificates import Certificates, make
from tests.sandbox.apiserver.endpoints import Endpoints
from tests.sandbox.apiserver.podlogs import Logs
from tests.sandbox.apiserver.routes import Routes
from tests.sandbox.apiserver.subresources import Subresources
from tests.sandbox.apiserver.watching import Watching
from tests.sandbox.apiserver.webhooks import Caller
from tests.sandbox.store import StatusError, Store

HOST = "127.0.0.1"
GARBAGE_SECONDS = 0.2  # between two looks of the garbage collector's loop
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")


class ApiServer:
    """A Kubernetes API server over a store.

    `token` is the admin's bearer token (made at random when not given), `logs` answers pods/log, `services` says where
    a webhook's service ("namespace/name") listens, `directory` keeps the certificates (a temporary one if not given).
    """

    def __init__(
        self,
        store: Store,
        *,
        token: str = "",
        logs: Logs | None = None,
        services: Mapping[str, tuple[str, int]] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.store = store
        self.token = token or secrets.token_urlsafe(24)
        self.url = ""
        self._tokens = {self.token}
        self._own_directory = directory is None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="sandbox-apiserver-"))
        self._certificates: Certificates = make(self._directory)
        self._answering = asyncio.Event()
        self._answering.set()
        self._watching = Watching(store, self._wait_until_answering)
        admission = Admission(store, Caller(services or {}))
        subresources = Subresources(store, admission, logs, self._issue)
        endpoints = Endpoints(store, admission, subresources, self._watching)
        self._routes = Routes(store, endpoints, lambda token: token in self._tokens)
        self._runner: web.AppRunner | None = None
        self._garbage: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def ca_file(self) -> Path:
        """The CA that signed the serving certificate, PEM."""
        return self._certificates.ca_file

    async def start(self, port: int = 0) -> str:
        """Listen on loopback, on a free port unless one is given; returns the URL."""
        app = web.Application(client_max_size=bodies.LIMIT + 1)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, HOST, port, ssl_context=self._certificates.server, reuse_address=True
        )
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        self.url = f"https://{HOST}:{self._port}"
        self._garbage = asyncio.create_task(self._collect_garbage())
        return self.url

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        await self._halt()
        if self._own_directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def _halt(self) -> None:
        self._answering.set()
        if self._garbage is not None:
            self._garbage.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._garbage
        if self._runner is not None:
            self.drop_connections()
            await self._runner.cleanup()

    async def _collect_garbage(self) -> None:
        while True:
            self.store.collect_garbage()
            await asyncio.sleep(GARBAGE_SECONDS)

    # Faults

    def drop_connections(self) -> None:
        """Break every open connection abruptly, watches included."""
        server = self._runner.server if self._runner else None
        for connection in list(server.connections) if isinstance(server, web.Server) else []:
            if connection.transport is not None:
                connection.transport.abort()

    def pause(self) -> None:
        """Stop answering; connections stay open and requests wait, as with a server that hangs."""
        self._answering.clear()

    def resume(self) -> None:
        """Answer again."""
        self._answering.set()

    def expire_watches(self) -> None:
        """End every open watch with 410 Expired, and forget the changes so far: older versions answer 410 too."""
        self.store.forget_history()
        self.store.expire_continues()
        self._watching.expire()

    async def restart(self) -> None:
        """Go away and come back on the same port, with the objects and without the watch history."""
        await self._halt()
        self.store.forget_history()
        await self.start(self._port)

    async def _wait_until_answering(self) -> None:
        await self._answering.wait()

    # Access

    def kubeconfig(self) -> dict[str, Any]:
        """A kubeconfig with the admin's token."""
        authority = base64.b64encode(self.ca_file.read_bytes()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "sandbox", "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [
                {
                    "name": "sandbox",
                    "context": {"cluster": "sandbox", "user": "admin", "namespace": "default"},
                }
            ],
            "current-context": "sandbox",
        }

    def _issue(self, namespace: str, account: str) -> str:
        token = f"{namespace}.{account}.{secrets.token_urlsafe(24)}"
        self._tokens.add(token)
        return token

    def _authenticated(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and token.strip() in self._tokens

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await self._answering.wait()
        try:
            if request.path not in _OPEN_PATHS and not self._authenticated(request):
                raise StatusError(401, "Unauthorized", "Unauthorized")
            return await self._routes.answer(request)
        except StatusError as error:
            return refusal(error)
