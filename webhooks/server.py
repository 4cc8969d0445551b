"""The HTTPS server that the API server calls: four paths, and nothing else.

    POST /mutate-operator-kairos-io-v1alpha1-nodeop[upgrade]
    POST /validate-operator-kairos-io-v1alpha1-nodeop[upgrade]

Every request gets a well-formed answer or a closed connection. Of a review, only kind, name, user and verdict are
logged: a spec may hold secrets. HTTP/1.1 only, since the API server falls back to it and aiohttp has no other.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from kairos_operator.api.crd import MODELS
from kairos_operator.api.resources import Resource
from kairos_operator.connections import HEADER_TIMEOUT, Connections
from webhooks.review import (
    SHOWN_NAME,
    Door,
    Knowledge,
    Malformed,
    Request,
    Verdict,
    answer,
    encoded,
    mutate,
    parse,
    render,
    validate,
)

MAX_BODY = 8 * 2**20
"""Bytes of a review: object and oldObject, each within etcd's 1.5 MiB, in JSON with escapes."""
MAX_BODIES = 32 * 2**20
"""Bytes of all bodies under way at once; the process has memory for little more, and anybody may send some."""
SMALL_BODY = 64 * 2**10
"""Bytes that any body may have whatever the others have: nearly all reviews are smaller."""
BODY_TIMEOUT = 10.0
"""Seconds that a client may take to send a body; the API server itself waits ten for the answer."""
KEEP_ALIVE = 120.0
"""Seconds that an idle connection stays open; Go's client closes its own after 90, so it never meets a closed one."""
MAX_CONNECTIONS = 1000
"""Connections at once; an API server has no more reviews under way, by its own limits."""
LINGER = 1.0
"""Seconds that the rest of a refused body is read for, so that the client sees the answer and not a reset."""
STOP_TIMEOUT = 5.0
"""Seconds that reviews under way are given when the server stops."""
DOORS: Mapping[str, Door] = {"mutate": mutate, "validate": validate}

log = logging.getLogger("webhooks")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def path_of(door: str, resource: Resource) -> str:
    """The path of a webhook, as kubebuilder forms it: door, group, version and kind."""
    group = resource.group.replace(".", "-")
    return f"/{door}-{group}-{resource.version}-{resource.kind.lower()}"


class Crowded(Exception):
    """The bodies under way are too large together."""


class AdmissionServer:
    """Serves the webhooks of both kinds over TLS, from `start` to `stop`.

    `context` may be given new certificates while the server runs: new connections get them, open ones stay.
    `on_review` is told of every answer to a review: path, HTTP status and seconds.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        context: ssl.SSLContext,
        on_review: Callable[[str, int, float], None] | None = None,
    ) -> None:
        self._knowledge = knowledge
        self._on_review = on_review
        self._context = context
        self._server: asyncio.Server | None = None
        self._connections = Connections(MAX_CONNECTIONS)
        self._underway = 0
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGER,
            shutdown_timeout=STOP_TIMEOUT,
            handler_cancellation=True,
        )

    @property
    def port(self) -> int:
        """The port that the server listens on, once it does; what `port=0` came to."""
        if self._server is None:
            raise RuntimeError("the admission server has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listens. Raises OSError where the address cannot be had."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection,
            host,
            port,
            ssl=self._context,
            backlog=1024,
            ssl_handshake_timeout=HEADER_TIMEOUT,
        )

    async def stop(self) -> None:
        """Takes no new connections, answers what is under way, and closes."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        for resource in MODELS:
            for name, door in DOORS.items():
                path = path_of(name, resource)
                app.router.add_post(path, self._told(path, self._handler(resource, door)))
        return app

    def _connection(self) -> asyncio.Protocol:
        factory = self._runner.server
        assert factory is not None, "the runner is set up"
        protocol = factory()
        self._connections.begun(protocol)
        return protocol

    def _told(self, path: str, review: Handler) -> Handler:
        """`review`, with `on_review` told of its answers."""
        on_review = self._on_review
        if on_review is None:
            return review

        async def timed(http: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            response = await review(http)
            on_review(path, response.status, time.perf_counter() - began)
            return response

        return timed

    def _handler(self, resource: Resource, door: Door) -> Handler:
        async def review(http: web.Request) -> web.Response:
            with self._connections.answering(http.protocol):
                return await reviewed(http)

        async def reviewed(http: web.Request) -> web.Response:
            try:
                request = parse(await self._body(http))
            except TimeoutError:
                return _refused(408, "the body took too long")
            except Crowded:
                return _refused(503, "too many large reviews at once, try again later")
            except Malformed as error:
                return _refused(400, str(error))
            verdict = answer(resource, door, request, self._knowledge)
            _log(request, door, verdict)
            body = encoded(render(request, verdict))
            return web.Response(body=body, content_type="application/json")

        return review

    async def _body(self, http: web.Request) -> bytes:
        """The whole body; most have come with the headers.

        Raises TimeoutError where it does not come, Crowded where others have taken the place for it.
        """
        if http.content.is_eof():
            return await http.read()
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while chunk := await http.content.readany():
                    body += chunk
                    self._underway += len(chunk)
                    if len(body) > MAX_BODY:
                        raise web.HTTPRequestEntityTooLarge(MAX_BODY, len(body))
                    if len(body) > SMALL_BODY and self._underway > MAX_BODIES:
                        raise Crowded
        finally:
            self._underway -= len(body)
        return bytes(body)


def server_context() -> ssl.SSLContext:
    """A TLS context for the server, yet without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _refused(code: int, message: str) -> web.Response:
    """An answer to what is no review: a metav1.Status, and the connection ends."""
    status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": code}
    response = web.Response(status=code, text=json.dumps(status), content_type="application/json")
    response.force_close()
    return response


def _log(request: Request, door: Door, verdict: Verdict) -> None:
    # Who wrote what is the API server's audit log's affair; a refusal is looked for here, too.
    kind, namespace, name, user = (
        text[:SHOWN_NAME] for text in (request.kind, request.namespace, request.name, request.user)
    )
    log.log(
        logging.DEBUG if verdict.allowed else logging.INFO,
        "%s %s %s/%r by %r: %s",
        door.__name__,
        kind,
        namespace,
        name,
        user,
        "allowed" if verdict.allowed else "refused",
    )
