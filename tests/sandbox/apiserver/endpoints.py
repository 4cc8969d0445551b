"""The REST verbs on resources: from a parsed path and a request to the store and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.sandbox.apiserver import bodies, tables
from tests.sandbox.apiserver.address import ApiPath
from tests.sandbox.apiserver.admission import Admission
from tests.sandbox.apiserver.answers import Form, answer, form_of, list_body, partial
from tests.sandbox.apiserver.deletion import delete_options
from tests.sandbox.apiserver.subresources import Subresources
from tests.sandbox.apiserver.watching import Watching
from tests.sandbox.store import Kind, Object, Store
from tests.sandbox.store import writes as writing
from tests.sandbox.store.conversion import shown
from tests.sandbox.store.deletes import delete
from tests.sandbox.store.errors import bad_request, method_not_allowed, not_implemented
from tests.sandbox.store.patches import patch_steps
from tests.sandbox.store.reads import too_large
from tests.sandbox.store.writes import Options, Steps


class Endpoints:
    """Answers requests for resources."""

    def __init__(
        self, store: Store, admission: Admission, subresources: Subresources, watching: Watching
    ) -> None:
        self._store = store
        self._admission = admission
        self._subresources = subresources
        self._watching = watching

    async def answer(self, request: web.Request, path: ApiPath) -> web.StreamResponse:
        """The answer to a request; raises StatusError."""
        kind = self._store.kind(path)
        form = form_of(request.headers.get("Accept", ""))
        if path.rest:
            raise not_implemented(f"paths below {path.plural}/{path.subresource}")
        if path.subresource and not (path.subresource == "status" and kind.status):
            return await self._subresources.answer(request, kind, path)
        method = request.method
        if not path.name:
            if method == "GET":
                if bodies.flag(request, "watch"):
                    return await self._watching.stream(request, kind, path, form)
                return self._list(request, kind, path, form)
            if method == "POST":
                return await self._create(request, kind, path, form)
            if method == "DELETE":
                return await self._delete_collection(request, kind, path)
            raise method_not_allowed()
        if method == "GET":
            return self._shown(kind, self._store.get(kind, path.name, path.namespace), form, request)
        if method in ("PUT", "PATCH"):
            return await self._update(request, kind, path, form)
        if method == "DELETE" and not path.subresource:
            return await self._delete(request, kind, path)
        raise method_not_allowed()

    def _shown(
        self, kind: Kind, obj: Object, form: Form, request: web.Request, status: int = 200, warnings: Any = ()
    ) -> web.Response:
        if form.table:
            obj = tables.single(
                kind, obj, request.query.get("includeObject", "Metadata"), self._store.clock()
            )
        elif form.partial:
            obj = partial(obj)
        return answer(obj, status, warnings)

    def _list(self, request: web.Request, kind: Kind, path: ApiPath, form: Form) -> web.Response:
        query = request.query
        fields = query.get("fieldSelector", "")
        wanted, now = query.get("resourceVersion", ""), int(self._store.resource_version)
        if wanted.isdigit() and int(wanted) > now:
            raise too_large(int(wanted), now)
        page = self._store.list(
            kind,
            path.namespace or None,
            label_selector=query.get("labelSelector", ""),
            field_selector=fields,
            limit=bodies.number(request, "limit"),
            continue_token=query.get("continue", ""),
        )
        if form.table:
            include = query.get("includeObject", "Metadata")
            return answer(tables.table(kind, page, include, self._store.clock()))
        return answer(list_body(kind, page, form))

    async def _create(self, request: web.Request, kind: Kind, path: ApiPath, form: Form) -> web.Response:
        body = await bodies.read(request)
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type " + kind.kind + ")")
        if kind.namespaced and not path.namespace:
            raise method_not_allowed()
        options, warnings = self._options(request, kind)
        steps = writing.create(self._store, kind, path.namespace or None, body, options)
        return self._shown(kind, await self._run(steps, warnings), form, request, 201, warnings)

    async def _update(self, request: web.Request, kind: Kind, path: ApiPath, form: Form) -> web.Response:
        key = self._store.key(kind, path.name, path.namespace)
        options, warnings = self._options(request, kind)
        status = 200
        if request.method == "PUT":
            body = await bodies.read(request)
            if not isinstance(body, dict):
                raise bad_request("the body of a PUT is an object")
            steps = writing.replace(self._store, kind, key, body, options, path.subresource)
        else:
            how = bodies.patch_kind(request)
            if how == "apply":
                options = replace(options, apply=True, field_manager=request.query.get("fieldManager", ""))
            patch = await bodies.read(request)
            status = 201 if how == "apply" and self._store.find(kind, key) is None else 200
            steps = patch_steps(self._store, kind, key, how, patch, options, path.subresource)
        return self._shown(kind, await self._run(steps, warnings), form, request, status, warnings)

    def _options(self, request: web.Request, kind: Kind) -> tuple[Options, list[str]]:
        """The write options, and the list that collects this request's warnings."""
        warnings: list[str] = []
        validation = request.query.get("fieldValidation") or "Warn"

        def report(paths: list[str]) -> None:
            texts = [f'unknown field "{path}"' for path in paths]
            if texts and validation == "Strict":
                said = ", ".join(texts)
                head = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
                raise bad_request(f"{head}: strict decoding error: {said}")
            if validation == "Warn":
                warnings.extend(texts)

        options = Options(
            dry_run=bodies.dry_run(request),
            field_manager=bodies.manager(request),
            force=bodies.flag(request, "force"),
            on_unknown=report,
        )
        return options, warnings

    async def _run(self, steps: Steps, warnings: list[str]) -> Object:
        return await self._admission.run(steps, warnings)

    async def _delete(self, request: web.Request, kind: Kind, path: ApiPath) -> web.Response:
        wanted = await delete_options(request)
        key = self._store.key(kind, path.name, path.namespace)
        warnings = []
        if kind.orphans and wanted.propagation is None:
            warnings.append(
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to "
                "remove them or set propagationPolicy=Orphan to suppress this warning"
            )
        last = await self._run(delete(self._store, kind, key, wanted), warnings)
        gone = self._store.find(kind, key) is None
        if kind.returns_deleted or not (gone or wanted.options.dry_run):
            return answer(shown(kind, last), 200, warnings)
        return answer(deleted(kind, last), 200, warnings)

    async def _delete_collection(self, request: web.Request, kind: Kind, path: ApiPath) -> web.Response:
        if kind.namespaced and not path.namespace:
            raise method_not_allowed()
        wanted = await delete_options(request)
        page = self._store.list(
            kind,
            path.namespace or None,
            label_selector=request.query.get("labelSelector", ""),
            field_selector=request.query.get("fieldSelector", ""),
        )
        for one in page.items:
            key = self._store.key(kind, one["metadata"]["name"], one["metadata"].get("namespace"))
            if self._store.find(kind, key) is not None:
                await self._run(delete(self._store, kind, key, wanted), [])
        return answer(list_body(kind, page, Form()))


def deleted(kind: Kind, last: Object) -> Object:
    """The Status that answers a deletion."""
    metadata = last["metadata"]
    details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural, "uid": metadata["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: item for key, item in details.items() if item},
    }
