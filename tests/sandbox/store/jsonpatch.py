"""JSON Patch (RFC 6902) on shared objects: copies along each operation's path, all operations or none.

A failing `test` operation answers 422 Invalid, as the API server does; a patch that is no patch answers 400.
"""

from __future__ import annotations

from typing import Any

from tests.sandbox.store.errors import StatusError, bad_request
from tests.sandbox.store.jsondata import copy_json, same_json

MAX_OPERATIONS = 10_000  # the API server's limit


def json_patch(target: Any, operations: Any) -> Any:
    """Apply the operations in order to a JSON value and return the new one."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise StatusError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}",
        )
    for operation in operations:
        target = _apply(target, operation)
    return target


def _apply(target: Any, operation: dict[str, Any]) -> Any:
    name = operation.get("op")
    path = _tokens(operation.get("path"))
    if name == "test":
        _test(target, path, operation)
        return target
    if name == "remove":
        return _edit(target, path, "remove", None)
    if name in ("add", "replace"):
        if "value" not in operation:
            raise _failed(f'{name} operation does not have a value: "{operation.get("path")}"')
        return _edit(target, path, name, copy_json(operation["value"]))
    if name in ("move", "copy"):
        source = _tokens(operation.get("from"))
        value = _lookup(target, source)
        if name == "move":
            target = _edit(target, source, "remove", None)
        return _edit(target, path, "add", copy_json(value))
    raise _failed(f"Unexpected kind: {name}")


def _failed(why: str) -> StatusError:
    message = "the server rejected our request due to an error in our request"
    refusal = StatusError(422, "Invalid", message, details={})
    refusal.add_note(why)  # the real server keeps the why to itself
    return refusal


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _failed(f"bad JSON pointer {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _test(target: Any, path: list[str], operation: dict[str, Any]) -> None:
    try:
        found = _lookup(target, path)
    except StatusError:
        found = None
        if operation.get("value") is not None:
            raise
    if not same_json(found, operation.get("value")):
        raise _failed(f"testing value {operation.get('path')} failed: test failed")


def _lookup(value: Any, path: list[str]) -> Any:
    for token in path:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list):
            value = value[_index(token, len(value) - 1)]
        else:
            raise _failed(f"missing value at /{'/'.join(path)}: missing path")
    return value


def _index(token: str, last: int) -> int:
    if not token.isdigit() or int(token) > last:
        raise _failed(f"Unable to access invalid index: {token}: invalid index referenced")
    return int(token)


def _edit(value: Any, path: list[str], verb: str, item: Any) -> Any:
    """`value` with the operation done at `path`; containers on the path are copied.

    A `replace` of a member that is not there adds it, as the API server's library does.
    """
    if not path:
        return item
    token, rest = path[0], path[1:]
    if isinstance(value, list):
        return _edit_list(value, token, rest, verb, item)
    if not isinstance(value, dict) or ((rest or verb == "remove") and token not in value):
        raise _failed(
            f"{verb} operation does not apply: doc is missing path: /{'/'.join(path)}: missing value"
        )
    edited = dict(value)
    if rest:
        edited[token] = _edit(edited[token], rest, verb, item)
    elif verb == "remove":
        del edited[token]
    else:
        edited[token] = item
    return edited


def _edit_list(value: list[Any], token: str, rest: list[str], verb: str, item: Any) -> list[Any]:
    edited = list(value)
    if rest:
        index = _index(token, len(value) - 1)
        edited[index] = _edit(edited[index], rest, verb, item)
    elif verb == "add":
        edited.insert(len(value) if token == "-" else _index(token, len(value)), item)
    elif verb == "remove":
        del edited[_index(token, len(value) - 1)]
    else:
        edited[_index(token, len(value) - 1)] = item
    return edited
