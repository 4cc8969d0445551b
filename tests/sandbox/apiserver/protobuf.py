"""The few bodies that kubectl sends as protobuf: reviews, tokens, evictions, and what `kubectl create` makes by name.

The wire format is that of k8s.io/apimachinery/pkg/runtime/serializer/protobuf: a magic prefix, then runtime.Unknown.
A message is described by its fields' numbers; a kind that is not listed is refused as an unknown media type.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.sandbox.store import Object

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
Form = Literal["text", "number", "flag", "bytes", "message", "texts", "text map", "bytes map"]


class ProtobufError(ValueError):
    """A body that is no message, or of a kind that is not read here."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    form: Form = "text"
    fields: dict[int, Field] | None = None


def _message(name: str, fields: dict[int, Field]) -> Field:
    return Field(name, "message", fields)


_META = _message(
    "metadata",
    {
        1: Field("name"),
        2: Field("generateName"),
        3: Field("namespace"),
        5: Field("uid"),
        6: Field("resourceVersion"),
        11: Field("labels", "text map"),
        12: Field("annotations", "text map"),
        14: Field("finalizers", "texts"),
    },
)
_DELETE_OPTIONS: dict[int, Field] = {
    1: Field("gracePeriodSeconds", "number"),
    2: _message("preconditions", {1: Field("uid"), 2: Field("resourceVersion")}),
    3: Field("orphanDependents", "flag"),
    4: Field("propagationPolicy"),
    5: Field("dryRun", "texts"),
}
_RESOURCE_ATTRIBUTES = dict(
    enumerate(
        (Field(key) for key in ("namespace", "verb", "group", "version", "resource", "subresource", "name")),
        1,
    )
)
_ACCESS = _message(
    "spec",
    {
        1: _message("resourceAttributes", _RESOURCE_ATTRIBUTES),
        2: _message("nonResourceAttributes", {1: Field("path"), 2: Field("verb")}),
    },
)
_TOKEN = _message("spec", {1: Field("audiences", "texts"), 4: Field("expirationSeconds", "number")})
_KINDS: dict[str, dict[int, Field]] = {
    "DeleteOptions": _DELETE_OPTIONS,
    "Eviction": {1: _META, 2: _message("deleteOptions", _DELETE_OPTIONS)},
    "SelfSubjectAccessReview": {1: _META, 2: _ACCESS},
    "SelfSubjectReview": {1: _META},
    "TokenRequest": {1: _META, 2: _TOKEN},
    "Namespace": {1: _META},
    "ServiceAccount": {1: _META},
    "ConfigMap": {1: _META, 2: Field("data", "text map")},
    "Secret": {1: _META, 2: Field("data", "bytes map"), 3: Field("type")},
}


def decode(raw: bytes) -> Object:
    """The object in a protobuf body; raises ProtobufError."""
    if not raw.startswith(_MAGIC):
        raise ProtobufError("the body lacks the prefix of Kubernetes protobuf")
    unknown = dict(_fields(raw[len(_MAGIC) :]))
    head = dict(_fields(_bytes(unknown.get(1, b""))))
    kind = _bytes(head.get(2, b"")).decode()
    if kind not in _KINDS:
        raise ProtobufError(f"a {kind} in protobuf")
    body = _object(_bytes(unknown.get(2, b"")), _KINDS[kind])
    return {"apiVersion": _bytes(head.get(1, b"")).decode(), "kind": kind, **body}


def _object(raw: bytes, fields: dict[int, Field]) -> Object:
    found: Object = {}
    for number, value in _fields(raw):
        field = fields.get(number)
        if field is None:
            continue
        if field.form == "texts":
            found.setdefault(field.name, []).append(_bytes(value).decode())
        elif field.form in ("text map", "bytes map"):
            pair = dict(_fields(_bytes(value)))
            item = _bytes(pair.get(2, b""))
            text = item.decode() if field.form == "text map" else base64.b64encode(item).decode()
            found.setdefault(field.name, {})[_bytes(pair.get(1, b"")).decode()] = text
        else:
            found[field.name] = _value(field, value)
    return {key: item for key, item in found.items() if item != ""}


def _value(field: Field, value: int | bytes) -> Any:
    if field.form == "message":
        return _object(_bytes(value), field.fields or {})
    if field.form == "number":
        if not isinstance(value, int):
            raise ProtobufError(f"{field.name} is no number")
        return value - (1 << 64) if value >= 1 << 63 else value
    if field.form == "flag":
        return bool(value)
    return _bytes(value).decode()


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ProtobufError("a number stands where a text or message should")
    return value


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number and value."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(raw, at)
            yield number, raw[at : at + length]
            at += length
        else:
            raise ProtobufError(f"wire type {wire}")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise ProtobufError("a number is cut off")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
