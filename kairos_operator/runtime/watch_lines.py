"""What one line of a watch means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kairos_operator.runtime.client import Added, Bookmark, Deleted, Modified, WatchEvent
from kairos_operator.runtime.errors import Unreachable, from_status

_EVENTS: dict[str, type[Added | Modified | Deleted]] = {
    "ADDED": Added,
    "MODIFIED": Modified,
    "DELETED": Deleted,
}


def parse_event(line: bytes, decode: Callable[[bytes], Any] = json.loads) -> WatchEvent:
    """One line of a watch; an ERROR event raises its typed error, anything unreadable raises Unreachable."""
    try:
        event = decode(line)
        kind, obj = event["type"], event["object"]
        if kind == "BOOKMARK":
            return Bookmark(str(obj["metadata"]["resourceVersion"]))
        if kind in _EVENTS:
            int(obj["metadata"]["resourceVersion"])
            return _EVENTS[kind](obj)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"the watch sent a line that is no event ({len(line)} bytes)") from error
    if kind == "ERROR":
        raise from_status(int(obj.get("code") or 500), obj)
    raise Unreachable(f"the watch sent an event of the unknown type {kind!r}")
