"""The subresources beside status: eviction, log and token. All others are refused with 501."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from aiohttp import web

from tests.sandbox.apiserver import bodies
from tests.sandbox.apiserver.address import ApiPath
from tests.sandbox.apiserver.admission import Admission
from tests.sandbox.apiserver.answers import answer
from tests.sandbox.apiserver.deletion import options_from
from tests.sandbox.apiserver.podlogs import Logs, pod_log
from tests.sandbox.store import Kind, Object, Store
from tests.sandbox.store.errors import bad_request, method_not_allowed, not_implemented
from tests.sandbox.store.eviction import evict
from tests.sandbox.store.metadata import timestamp

_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class Subresources:
    """Answers requests for subresources; `issue` makes a bearer token that the server will accept."""

    def __init__(
        self, store: Store, admission: Admission, logs: Logs | None, issue: Callable[[str, str], str]
    ) -> None:
        self._store = store
        self._admission = admission
        self._logs = logs
        self._issue = issue

    async def answer(self, request: web.Request, kind: Kind, path: ApiPath) -> web.StreamResponse:
        match (kind.group, kind.plural, path.subresource):
            case ("", "pods", "eviction"):
                return await self._evict(request, kind, path)
            case ("", "pods", "log"):
                return await self._log(request, kind, path)
            case ("", "serviceaccounts", "token"):
                return await self._token(request, kind, path)
        raise not_implemented(f"the subresource {kind.plural}/{path.subresource}")

    async def _evict(self, request: web.Request, kind: Kind, path: ApiPath) -> web.Response:
        if request.method != "POST":
            raise method_not_allowed()
        body = await bodies.read(request)
        body = body if isinstance(body, dict) else {}
        name = (body.get("metadata") or {}).get("name")
        if name and name != path.name:
            raise bad_request("name in URL does not match name in Eviction object")
        dry = bodies.dry_run(request, {"kind": "Eviction", **body})
        wanted = options_from(body.get("deleteOptions") or {}, dry_run=dry)
        await self._admission.run(evict(self._store, kind, (path.namespace, path.name), wanted), [])
        return answer(_SUCCESS, 201)

    async def _log(self, request: web.Request, kind: Kind, path: ApiPath) -> web.StreamResponse:
        if request.method != "GET":
            raise method_not_allowed()
        pod = self._store.get(kind, path.name, path.namespace)
        return await pod_log(request, self._store, kind, pod, self._logs)

    async def _token(self, request: web.Request, kind: Kind, path: ApiPath) -> web.Response:
        if request.method != "POST":
            raise method_not_allowed()
        body = await bodies.read(request)
        self._store.get(kind, path.name, path.namespace)
        spec = (body if isinstance(body, dict) else {}).get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or 3600)
        found = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": path.name, "namespace": path.namespace},
            "spec": {"audiences": ["kubernetes"], **spec, "expirationSeconds": seconds},
            "status": {
                "token": self._issue(path.namespace, path.name),
                "expirationTimestamp": timestamp(self._store.clock() + timedelta(seconds=seconds)),
            },
        }
        return answer(found, 201)
