"""JSON of the API server, read so that the status of thousands of nodes is not there twice.

As plain JSON such a status is ten times its text for a moment: a dict for each node. Here each entry becomes its value
as soon as it is read, and for nodes that wait or are done that value is there already.
"""

from __future__ import annotations

import json
from typing import Any

from kairos_operator.api.status import shared_entry

LARGE_BYTES = 65_536
# Only a key can be this: within a string its quotes are escaped, and the keys of managedFields begin with "f:".
_ENTRIES = b'"nodeStatuses":{'
_LIST = b'"items":['  # no key of the two kinds, so what has it before a status is a list
_TAKEN_OUT = "read by themselves"  # which no map of entries is
_DECODER = json.JSONDecoder(object_hook=shared_entry)


def read_json(text: bytes) -> Any:
    """What the text says, entries of a status as their values where that saves much; raises ValueError."""
    first = text.find(_ENTRIES) if len(text) >= LARGE_BYTES else -1
    if first < 0 or text.find(_LIST, 0, first) >= 0:
        return json.loads(text)
    whole = text.decode()
    begin = whole.index(_ENTRIES.decode()) + len(_ENTRIES) - 1
    entries, end = _DECODER.raw_decode(whole, begin)
    told = json.loads(f'{whole[:begin]}"{_TAKEN_OUT}"{whole[end:]}')
    place = _status(told)
    if place is None or place.get("nodeStatuses") != _TAKEN_OUT:
        return json.loads(whole)  # it stands elsewhere
    place["nodeStatuses"] = entries
    return told


def _status(told: Any) -> dict[str, Any] | None:
    """The status of an object, or of the object that a watch event tells of."""
    obj = told.get("object", told) if isinstance(told, dict) else None
    status = obj.get("status") if isinstance(obj, dict) else None
    return status if isinstance(status, dict) else None
