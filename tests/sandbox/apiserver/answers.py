"""Answers: JSON bodies, Status errors, lists, and the forms of an object that a client may ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.sandbox.store import Kind, Object, Page, StatusError


def encode(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def answer(body: Any, status: int = 200, warnings: Iterable[str] = ()) -> web.Response:
    """A JSON answer, with a Warning header for each warning."""
    response = web.Response(body=encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-cache, private"
    for text in dict.fromkeys(warnings):
        response.headers.add("Warning", f'299 - "{quoted(text)}"')
    return response


def quoted(text: str) -> str:
    """A warning's text as it may stand between the quotes of a header."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def refusal(error: StatusError) -> web.Response:
    """The answer for a refused request."""
    response = answer(error.status, error.code)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@dataclass(frozen=True, slots=True)
class Form:
    """How objects are to be shown: whole, as metadata only, or as rows of a table."""

    name: str = ""  # "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"

    @property
    def table(self) -> bool:
        return self.name == "Table"

    @property
    def partial(self) -> bool:
        return self.name.startswith("PartialObjectMetadata")


def form_of(accept: str) -> Form:
    """The first form in an Accept header that is served here."""
    for one in accept.split(","):
        fields = dict(part.strip().partition("=")[::2] for part in one.split(";")[1:])
        media = one.split(";")[0].strip()
        if media in ("application/json", "*/*", "application/*"):
            if not fields.get("as"):
                return Form()
            if fields.get("g") == "meta.k8s.io" and fields.get("v") == "v1":
                return Form(fields["as"])
    return Form()


def partial(obj: Object) -> Object:
    """The object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def list_meta(page: Page) -> Object:
    metadata: Object = {"resourceVersion": page.resource_version}
    if page.continue_token:
        metadata["continue"] = page.continue_token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


def list_body(kind: Kind, page: Page, form: Form) -> Object:
    """The list of a page. Items of built-in kinds leave kind and apiVersion out, as the API server's do."""
    if form.partial:
        items = [partial(one) for one in page.items]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**head, "metadata": list_meta(page), "items": items}
    items = page.items if kind.custom else [_untyped(one) for one in page.items]
    return {
        "kind": kind.list_name,
        "apiVersion": kind.api_version,
        "metadata": list_meta(page),
        "items": items,
    }


def _untyped(obj: Object) -> Object:
    return {key: item for key, item in obj.items() if key not in ("kind", "apiVersion")}
