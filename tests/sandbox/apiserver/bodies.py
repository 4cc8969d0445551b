"""Request bodies and query parameters."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web

from tests.sandbox.apiserver import protobuf
from tests.sandbox.store import StatusError
from tests.sandbox.store.errors import Fault, bad_request, invalid
from tests.sandbox.store.patches import PatchKind

_PATCHES: dict[str, PatchKind] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
LIMIT = 3 * 1024 * 1024  # bytes, the API server's limit


async def read(request: web.Request) -> Any:
    """The body as JSON values, null where there is none; 400, 413 or 415 for one that cannot be read."""
    raw = await request.read()
    if len(raw) > LIMIT:
        text = f"Request entity too large: limit is {LIMIT}"
        raise StatusError(413, "RequestEntityTooLarge", text, details={})
    if not raw.strip():
        return None
    media = request.content_type
    try:
        if media.endswith("yaml"):
            return yaml.safe_load(raw)
        if media.endswith("json") or media == "application/octet-stream":
            return json.loads(raw)
        if media == protobuf.MEDIA:
            return protobuf.decode(raw)
    except protobuf.ProtobufError as error:
        raise unsupported_media(["application/json", "application/yaml"]) from error
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the body of the request could not be read: {error}") from error
    raise unsupported_media(["application/json", "application/yaml"])


def unsupported_media(accepted: list[str]) -> StatusError:
    text = "the body of the request was in an unknown format - accepted media types include: "
    return StatusError(415, "UnsupportedMediaType", text + ", ".join(accepted), details={})


def patch_kind(request: web.Request) -> PatchKind:
    """The kind of patch that the Content-Type says."""
    found = _PATCHES.get(request.content_type)
    if found is None:
        raise unsupported_media(list(_PATCHES))
    return found


def flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "") in ("true", "1")


def number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f'unable to decode query parameter {name}: "{text}"')
    return int(text)


def dry_run(request: web.Request, body: Any = None) -> bool:
    """Whether the request asks to persist nothing; 422 for a value other than All."""
    values = request.query.getall("dryRun", [])
    if isinstance(body, dict) and body.get("kind") in ("DeleteOptions", "Eviction"):
        values = [*values, *((body.get("deleteOptions") or body).get("dryRun") or [])]
    if any(value != "All" for value in values):
        fault = Fault("NotSupported", "dryRun", values, 'supported values: "All"')
        raise invalid("meta.k8s.io", f"{request.method.capitalize()}Options", "", [fault])
    return bool(values)


def manager(request: web.Request) -> str:
    """The field manager: named in the query, else what the User-Agent begins with."""
    return request.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0]
