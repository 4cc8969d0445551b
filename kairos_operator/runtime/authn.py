"""Who may read what this process serves: the API server is asked, as controller-runtime's metrics filter asks it.

A bearer token is reviewed (TokenReview), then its user's right to `get` the path (SubjectAccessReview, a non-resource
URL). Answers are kept for a short while, since Prometheus asks again and again; a refusal for less, so that a new right
counts soon. Where the API server cannot be asked, or is being asked about many others, nobody may. Tokens are neither
kept nor logged: the key of an answer is the token's hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError

TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False)

ALLOWED_SECONDS = 60.0
REFUSED_SECONDS = 10.0
MOST_ANSWERS = 512
MOST_WAITING = 16  # requests whose answer is being asked for
LONGEST_TOKEN = 16384  # characters; a ServiceAccount's has about a thousand

Reader = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Creates(Protocol):
    """What is needed of a client."""

    async def create(
        self, res: Resource, body: dict[str, Any], namespace: str | None = None
    ) -> Mapping[str, Any]:
        """Create an object; raises ApiError."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not: the HTTP status, and a sentence."""

    status: int
    text: str


NO_TOKEN = Refusal(401, "a bearer token is needed")
BAD_TOKEN = Refusal(401, "the API server does not know this token")
BUSY = Refusal(503, "too many others are being asked about")
UNREACHABLE = Refusal(503, "the API server cannot be asked who this is")


class Gate:
    """Answers whether the bearer of a token may `get` a path."""

    def __init__(self, client: Creates, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._answers: dict[tuple[bytes, str], tuple[float, Refusal | None]] = {}
        self._waiting = 0

    async def refusal(self, authorization: str, path: str) -> Refusal | None:
        """Why the request with this `Authorization` header is refused, or None where it is allowed."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
            return NO_TOKEN
        key = hashlib.sha256(token.encode("utf-8", "replace")).digest(), path
        until, answer = self._answers.get(key, (0.0, None))
        if self._clock.monotonic() < until:
            return answer
        if self._waiting >= MOST_WAITING:
            return BUSY
        self._waiting += 1
        try:
            answer = await self._asked(token, path)
        except ApiError:
            return UNREACHABLE
        finally:
            self._waiting -= 1
        self._keep(key, answer)
        return answer

    async def _asked(self, token: str, path: str) -> Refusal | None:
        review = await self._client.create(TOKEN_REVIEWS, _body(TOKEN_REVIEWS, {"token": token}))
        found = review.get("status") or {}
        if not found.get("authenticated"):
            return BAD_TOKEN
        user = found.get("user") or {}
        spec: dict[str, Any] = {
            "user": user.get("username", ""),
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        spec |= {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        access = await self._client.create(ACCESS_REVIEWS, _body(ACCESS_REVIEWS, spec))
        if (access.get("status") or {}).get("allowed"):
            return None
        return Refusal(403, f"{user.get('username', 'this user')} may not get {path}")

    def _keep(self, key: tuple[bytes, str], answer: Refusal | None) -> None:
        now = self._clock.monotonic()
        self._answers.pop(key, None)
        if len(self._answers) >= MOST_ANSWERS:
            self._answers = {known: kept for known, kept in self._answers.items() if kept[0] > now}
        while len(self._answers) >= MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (now + (REFUSED_SECONDS if answer else ALLOWED_SECONDS), answer)


def guard(app: web.Application, gate: Gate, path: str) -> web.Application:
    """Let only those in who may `get` the path, wherever in the app they go."""

    @web.middleware
    async def ask(request: web.Request, handler: Reader) -> web.StreamResponse:
        refusal = await gate.refusal(request.headers.get("Authorization", ""), path)
        if refusal is None:
            return await handler(request)
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
        return web.Response(status=refusal.status, text=refusal.text + "\n", headers=headers)

    app.middlewares.insert(0, ask)
    return app


def _body(res: Resource, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": res.api_version, "kind": res.kind, "spec": dict(spec)}
