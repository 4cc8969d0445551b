"""Lists in pages, and the start of watches.

A page's continue token names a snapshot that is kept in memory; only the newest snapshots are kept, and an older
token answers 410 Expired, as after a compaction.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sandbox.store.conversion import shown
from tests.sandbox.store.errors import StatusError, bad_request, expired
from tests.sandbox.store.jsondata import Object
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.selectors import Match, everything, field_selector, label_selector
from tests.sandbox.store.watches import Watch, WatchEvent

if TYPE_CHECKING:
    from tests.sandbox.store.state import State

SNAPSHOTS = 64


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `remaining` is None where the API server would not tell (with selectors)."""

    items: list[Object]
    resource_version: str
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class _Snapshot:
    version: str
    items: list[Object]
    counted: bool


class Lists:
    """The reading side of one store."""

    def __init__(self, store: State) -> None:
        self._store = store
        self._snapshots: OrderedDict[int, _Snapshot] = OrderedDict()
        self._next = 0

    def forget(self) -> None:
        self._snapshots.clear()

    def page(
        self, kind: Kind, namespace: str | None, labels: str, fields: str, limit: int, token: str
    ) -> Page:
        """A list or the next page of one."""
        if token:
            number, start = _parse_token(token)
            snapshot = self._snapshots.get(number)
            if snapshot is None:
                raise _continue_expired()
            return self._cut(kind, snapshot, number, start, limit)
        match = _match(kind, labels, fields)
        items = self._select(kind, namespace, match)
        snapshot = _Snapshot(self._store.resource_version, items, match is everything)
        if not limit or len(items) <= limit:
            return Page(
                [shown(kind, one) for one in items] if kind.storage_version else items, snapshot.version
            )
        self._next += 1
        self._snapshots[self._next] = snapshot
        if len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return self._cut(kind, snapshot, self._next, 0, limit)

    def _cut(self, kind: Kind, snapshot: _Snapshot, number: int, start: int, limit: int) -> Page:
        end = start + limit if limit else len(snapshot.items)
        items = [shown(kind, one) for one in snapshot.items[start:end]]
        left = len(snapshot.items) - end
        if left <= 0:
            return Page(items, snapshot.version)
        token = base64.urlsafe_b64encode(json.dumps([number, end]).encode()).decode()
        return Page(items, snapshot.version, token, left if snapshot.counted else None)

    def _select(self, kind: Kind, namespace: str | None, match: Match) -> list[Object]:
        shelf = self._store.shelf(kind)
        objects = shelf.objects
        if kind.namespaced and namespace:
            items = [objects[key] for key in shelf.ordered() if key[0] == namespace]
        else:
            items = [objects[key] for key in shelf.ordered()]
        return items if match is everything else [one for one in items if match(one)]

    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        version: str,
        labels: str,
        fields: str,
        *,
        initial: bool,
        bookmarks: bool,
    ) -> Watch:
        """A watch from a version, with the present objects first where it has none or they are asked for."""
        if version and not version.isdigit():
            raise unreadable(version)
        now = int(self._store.resource_version)
        begin = int(version or 0)
        if begin > now:
            raise too_large(begin, now)
        match = _match(kind, labels, fields)
        first = initial or begin == 0
        watch = Watch(
            self._store.shelf(kind),
            kind,
            after=now if first else begin,
            namespace=(namespace or None) if kind.namespaced else None,
            match=match,
            shown=lambda obj: shown(kind, obj),
            version=lambda: int(self._store.resource_version),
        )
        if first:
            found = self._select(kind, namespace, match)
            watch.queue([WatchEvent("ADDED", shown(kind, one)) for one in found])
        if initial and bookmarks:
            watch.queue([watch.bookmark(initial_end=True)])
        return watch


def _match(kind: Kind, labels: str, fields: str) -> Match:
    by_label = label_selector(labels)
    if kind.group == "events.k8s.io":
        fields = fields.replace("regarding.", "involvedObject.").replace(
            "reportingController", "reportingComponent"
        )
    by_field = field_selector(*kind.store_key, fields, kind.selectable)
    if by_field is everything:
        return by_label
    return by_field if by_label is everything else lambda obj: by_label(obj) and by_field(obj)


def unreadable(version: str) -> StatusError:
    """The refusal of a resourceVersion that is no number; the real server takes it for its own fault."""
    text = (
        f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
    )
    return StatusError(500, "", text)


def too_large(asked: int, now: int) -> StatusError:
    """The refusal of a resourceVersion from the future."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {now}"
    return StatusError(504, "Timeout", message, details={"causes": [cause]}, retry_after=1)


def _parse_token(token: str) -> tuple[int, int]:
    try:
        number, start = json.loads(base64.urlsafe_b64decode(token))
        return int(number), int(start)
    except (binascii.Error, ValueError, TypeError) as bad:
        raise bad_request(f"continue key is not valid: {bad}") from bad


def _continue_expired() -> StatusError:
    return expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
