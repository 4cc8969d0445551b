"""One webhook: the AdmissionReview that is sent to it over TLS, and what its answer means."""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import aiohttp

from tests.sandbox.store import Object, StatusError
from tests.sandbox.store.jsonpatch import json_patch
from tests.sandbox.store.sources import random_uid
from tests.sandbox.store.writes import Step

_USER = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}


@dataclass(frozen=True, slots=True)
class Hook:
    """One entry of a webhook configuration."""

    configuration: str
    body: Object

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def key(self) -> str:
        return f"{self.configuration}/{self.name}"

    @property
    def reinvoked(self) -> bool:
        return self.body.get("reinvocationPolicy") == "IfNeeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer."""

    hook: Hook
    allowed: bool
    status: Object = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    patch: Any = None


class CallError(Exception):
    """A webhook that gave no usable answer."""


class Caller:
    """Calls webhooks. `services` says at which host and port a "namespace/name" service listens."""

    def __init__(self, services: Mapping[str, tuple[str, int]]) -> None:
        self._services = services

    async def ask(self, hook: Hook, step: Step, obj: Object | None) -> Verdict:
        """The verdict; a webhook that cannot be asked fails the request or is ignored, as its failurePolicy says."""
        review = _review(step, obj)
        try:
            return _verdict(hook, await self._post(hook, review), review["request"]["uid"])
        except (CallError, aiohttp.ClientError, TimeoutError, OSError) as error:
            if hook.body.get("failurePolicy") == "Ignore":
                return Verdict(hook, allowed=True)
            text = str(error) or "context deadline exceeded"
            message = f'Internal error occurred: failed calling webhook "{hook.name}": failed to call webhook: {text}'
            raise StatusError(
                500, "InternalError", message, details={"causes": [{"message": text}]}
            ) from error

    async def _post(self, hook: Hook, review: Object) -> Any:
        client = hook.body["clientConfig"]
        url, server_name = self._target(client)
        bundle = base64.b64decode(client.get("caBundle") or "").decode()
        timeout = aiohttp.ClientTimeout(total=hook.body.get("timeoutSeconds", 10))
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=review, ssl=_trust(bundle), server_hostname=server_name) as answer,
        ):
            text = await answer.text()
            if answer.status != 200:
                raise CallError(f"the server answered {answer.status}: {text[:200]}")
            try:
                return json.loads(text)
            except ValueError as error:
                raise CallError(f"the answer is not JSON: {error}") from error

    def _target(self, client: Object) -> tuple[str, str | None]:
        """The URL to call and the name that the certificate must have."""
        if client.get("url"):
            return str(client["url"]), None
        service = client["service"]
        name = f"{service['namespace']}/{service['name']}"
        if name not in self._services:
            raise CallError(f'service "{service["name"]}" not found')
        host, port = self._services[name]
        path = "/" + service.get("path", "").lstrip("/")
        return f"https://{host}:{port}{path}", f"{service['name']}.{service['namespace']}.svc"


@lru_cache(maxsize=16)
def _trust(bundle: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=bundle or None)
    except ssl.SSLError as error:
        raise CallError(f"unable to load root certificates: {error}") from error


def _review(step: Step, obj: Object | None) -> Object:
    kind = step.kind
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    gvr = {"group": kind.group, "version": kind.version, "resource": kind.plural}
    request: Object = {
        "uid": random_uid(),
        "kind": gvk,
        "resource": gvr,
        "requestKind": gvk,
        "requestResource": gvr,
        "operation": step.operation,
        "userInfo": _USER,
        "object": obj,
        "oldObject": step.old,
        "dryRun": step.options.dry_run,
        "options": None,
    }
    named = {"name": step.name, "namespace": step.namespace, "subResource": step.subresource}
    request |= {key: item for key, item in named.items() if item}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _verdict(hook: Hook, answer: Any, uid: str) -> Verdict:
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise CallError("the webhook gave no response")
    if answer.get("apiVersion") != "admission.k8s.io/v1" or answer.get("kind") != "AdmissionReview":
        raise CallError("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview")
    if response.get("uid") != uid:
        raise CallError(f'expected response.uid="{uid}", got "{response.get("uid")}"')
    patch = None
    if response.get("patch"):
        if response.get("patchType") != "JSONPatch":
            raise CallError("webhook returned response.patch but not response.patchType=JSONPatch")
        try:
            patch = json.loads(base64.b64decode(response["patch"]))
        except (ValueError, binascii.Error) as error:
            raise CallError(f"the patch cannot be read: {error}") from error
    warnings = tuple(response.get("warnings") or ())
    return Verdict(hook, bool(response.get("allowed")), response.get("status") or {}, warnings, patch)


def patched(verdict: Verdict, obj: Object | None) -> Object | None:
    """The object after the verdict's patch."""
    return obj if verdict.patch is None or obj is None else json_patch(obj, verdict.patch)


def denied(verdict: Verdict) -> StatusError:
    """The refusal that the client sees, with the status that the webhook chose."""
    said = verdict.status
    head = f'admission webhook "{verdict.hook.name}" denied the request'
    text = said.get("message") or said.get("reason")
    code = max(int(said.get("code") or 0), 400)
    message = f"{head}: {text}" if text else f"{head} without explanation"
    return StatusError(code, said.get("reason") or "", message, details=said.get("details"))
