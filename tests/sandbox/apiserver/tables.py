"""meta.k8s.io/v1 Tables: what `kubectl get` shows.

Custom resources have the columns of their definition; the common built-in kinds those of the API server's own
printers, the others name and age.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.sandbox.apiserver.answers import list_meta, partial
from tests.sandbox.apiserver.columns import BUILT_IN, Column, since
from tests.sandbox.store import Kind, Object, Page
from tests.sandbox.store.errors import printed
from tests.sandbox.store.jsonpath import lookup

_AGE = "CreationTimestamp is a timestamp representing the server time when this object was created."


def table(kind: Kind, page: Page, include: str, now: datetime) -> Object:
    """The table of a page; `include` is None, Metadata or Object."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta(page),
        "columnDefinitions": _definitions(kind),
        "rows": [_row(kind, one, include, now) for one in page.items],
    }


def single(kind: Kind, obj: Object, include: str, now: datetime, *, headed: bool = True) -> Object:
    """The table of one object; a watch sends the column definitions with its first event only."""
    version = obj["metadata"].get("resourceVersion", "")
    found = table(kind, Page([obj], version), include, now)
    return found if headed else {**found, "columnDefinitions": None}


def _definitions(kind: Kind) -> list[Object]:
    found: list[Object] = [
        _definition("Name", "string", "name", "Name must be unique within a namespace.", 0)
    ]
    if kind.custom:
        for one in kind.columns:
            text = "Custom resource definition column (in JSONPath format): " + one["jsonPath"]
            text = one.get("description") or text
            found.append(
                _definition(one["name"], one["type"], one.get("format", ""), text, one.get("priority", 0))
            )
        return found if kind.columns else [*found, _definition("Age", "date", "", _AGE, 0)]
    columns = BUILT_IN.get((kind.group, kind.plural), _PLAIN)
    if kind.plural == "events":
        found = []
    return found + [_definition(one.name, one.type, "", one.name, one.priority) for one in columns]


def _definition(name: str, kind: str, form: str, description: str, priority: int) -> Object:
    return {"name": name, "type": kind, "format": form, "description": description, "priority": priority}


def _row(kind: Kind, obj: Object, include: str, now: datetime) -> Object:
    row: Object = {"cells": _cells(kind, obj, now)}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial(obj)
    return row


def _cells(kind: Kind, obj: Object, now: datetime) -> list[Any]:
    name = obj["metadata"]["name"]
    if kind.custom:
        if not kind.columns:
            return [name, since(obj["metadata"].get("creationTimestamp"), now)]
        return [
            name,
            *(_custom_cell(obj, column["jsonPath"], column["type"], now) for column in kind.columns),
        ]
    cells = [one.cell(obj, now) for one in BUILT_IN.get((kind.group, kind.plural), _PLAIN)]
    return cells if kind.plural == "events" else [name, *cells]


def _custom_cell(obj: Object, path: str, kind: str, now: datetime) -> Any:
    values = lookup(obj, path)
    if not values or values[0] is None:
        return None
    if kind == "date":
        return since(values[0], now)
    if kind in ("integer", "number", "boolean"):
        return values[0]
    return ",".join(one if isinstance(one, str) else printed(one) for one in values)


_PLAIN = (Column("Age", lambda obj, now: since(obj["metadata"].get("creationTimestamp"), now)),)
