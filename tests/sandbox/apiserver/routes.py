"""Which part of the server answers a path."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tests.sandbox.apiserver import address, bodies, discovery, openapi
from tests.sandbox.apiserver.answers import answer
from tests.sandbox.apiserver.endpoints import Endpoints
from tests.sandbox.apiserver.reviews import review
from tests.sandbox.store import Object, Store
from tests.sandbox.store.errors import method_not_allowed, no_such_path

VERSION: Object = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2",
    "gitCommit": "sandbox",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_HEALTH = ("/healthz", "/livez", "/readyz")
_REVIEWS = {(group, version, plural): kind for group, version, plural, kind, _ in discovery.REVIEWS}


class Routes:
    """From path to answer; `known` says whether a token is one of this server's."""

    def __init__(self, store: Store, endpoints: Endpoints, known: Callable[[str], bool]) -> None:
        self._store = store
        self._endpoints = endpoints
        self._known = known

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The answer to an authenticated request; raises StatusError."""
        path = request.path.rstrip("/")
        if path.startswith(_HEALTH):
            return web.Response(text="ok")
        if path == "/version":
            return answer(VERSION)
        if path.startswith("/openapi/"):
            return self._openapi(request, path)
        found = self._discovery(request, path)
        if found is not None:
            return found
        parsed = address.parse(path)
        if parsed is None:
            raise no_such_path()
        kind = _REVIEWS.get((parsed.group, parsed.version, parsed.plural))
        if kind is None:
            return await self._endpoints.answer(request, parsed)
        if request.method != "POST":
            raise method_not_allowed()
        return answer(review(kind, await bodies.read(request), self._known), 201)

    def _discovery(self, request: web.Request, path: str) -> web.Response | None:
        parts = path.split("/")[1:]
        if parts in (["api"], ["apis"]):
            core = parts == ["api"]
            if _asks_aggregated(request.headers.get("Accept", "")):
                response = answer(discovery.aggregated(self._store, core=core))
                response.headers["Content-Type"] = _AGGREGATED
                return response
            return answer(discovery.api_versions() if core else discovery.group_list(self._store))
        if parts[0] == "apis" and len(parts) == 2:
            versions = discovery.group_versions(self._store).get(parts[1])
            if not versions:
                raise no_such_path()
            return answer({"kind": "APIGroup", "apiVersion": "v1", **discovery.group(parts[1], versions)})
        if (parts[0] == "api" and len(parts) == 2) or (parts[0] == "apis" and len(parts) == 3):
            found = discovery.resource_list(self._store, parts[1] if len(parts) == 3 else "", parts[-1])
            if found is None:
                raise no_such_path()
            return answer(found)
        return None

    def _openapi(self, request: web.Request, path: str) -> web.Response:
        if request.method != "GET":
            raise method_not_allowed()
        parts = path.split("/")[2:]
        if parts == ["v2"]:
            return answer(openapi.swagger(self._store))
        if parts == ["v3"]:
            return answer(openapi.index(self._store))
        group, version = (parts[2], parts[3]) if len(parts) == 4 else ("", parts[-1])
        if version not in discovery.group_versions(self._store).get(group, []):
            raise no_such_path()
        return answer(openapi.document(self._store, group, version))


def _asks_aggregated(accept: str) -> bool:
    return any("as=APIGroupDiscoveryList" in one and "v=v2;" in one + ";" for one in accept.split(","))
