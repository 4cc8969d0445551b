"""Whether an object may be stored: all its faults at once.

The models say what the CRD schema says; the checks here add what needs more than one field, or a grammar. They
read the raw object and step over what has the wrong type, since the models report that: one fault hides no other.
Where both speak of a field, the check is heard, because it says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from kairos_operator.api.nodeop import CLEAN_PATH
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from webhooks.faults import MAX_FAULTS, Fault, FaultType, Path, first_of, ordered
from webhooks.labels import selector_faults, subdomain_fault
from webhooks.references import NotAnImage, parse_image
from webhooks.structure import Spec, read_spec

Check = Callable[[Any, Path], Iterator[Fault]]
"""What is wrong with the value of a field besides its type; the path is where it stands."""

SPEC: Path = ("spec",)
MAX_ARGUMENT = 131071
"""Bytes of one argument that Linux passes on (MAX_ARG_STRLEN, less the closing NUL)."""
MAX_COMMAND = 262_144
"""Bytes of a command with all its arguments: etcd takes 1.5 MiB of an object, of which the status may need 1.25."""
MAX_EXCLUDED = 65_536
"""Bytes of all excluded paths: they become arguments of a command, in which each "$" is written twice."""
ENOUGH = MAX_FAULTS + 1
"""Faults of one field that are looked for: those that are listed, and one to tell that there are more."""
_CLEAN = re.compile(CLEAN_PATH.rstrip("$"))
_HIDDEN = re.compile(r"/(?:dev|proc|sys)(?:/.*)?")


class Checked(NamedTuple):
    """An object that was looked at: its spec as it is read, or else its faults."""

    spec: Spec | None
    faults: Sequence[Fault]


def faults_of(resource: Resource, obj: Mapping[str, Any]) -> Sequence[Fault]:
    """Everything that is wrong with an object of the kind, its defaults filled in or not."""
    return checked(resource, obj).faults


def checked(resource: Resource, obj: Mapping[str, Any]) -> Checked:
    """The spec of an object of the kind, or everything that is wrong with the object."""
    found = list(_name_faults(obj.get("metadata")))
    raw = obj.get("spec")
    if raw is None:
        return Checked(None, ordered([*found, Fault(SPEC, FaultType.REQUIRED)]))
    if isinstance(raw, dict):
        for field, check in _CHECKS[resource.kind].items():
            if field in raw:
                found.extend(islice(check(raw[field], (*SPEC, field)), ENOUGH))
        if resource.kind == NODE_OPS.kind:
            found.extend(_drain_faults(raw))
    spec, structure = read_spec(resource.kind, raw, SPEC)
    if spec is not None and not found:
        return Checked(spec, ())
    covered = {fault.path for fault in found}
    all_faults = ordered([*found, *(fault for fault in structure if fault.path not in covered)])
    return Checked(None, first_of(all_faults, SPEC))


def _name_faults(metadata: Any) -> Iterator[Fault]:
    """The API server checks names too, but not where there is none."""
    metadata = metadata if isinstance(metadata, dict) else {}
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if not name and not prefix:
        yield Fault(("metadata", "name"), FaultType.REQUIRED, "name or generateName is required")
    elif isinstance(name, str) and name and (fault := subdomain_fault(name)):
        yield Fault(("metadata", "name"), FaultType.INVALID, fault, name)
    elif not name and isinstance(prefix, str) and (fault := subdomain_fault(_unmasked(prefix))):
        yield Fault(("metadata", "generateName"), FaultType.INVALID, fault, prefix)


def _unmasked(prefix: str) -> str:
    """A generateName as it is checked: a dash at its end is fine, since something follows."""
    return f"{prefix[:-1]}a" if prefix.endswith("-") else prefix


def _image_faults(image: Any, at: Path) -> Iterator[Fault]:
    if not isinstance(image, str) or not image:
        return
    try:
        parse_image(image)
    except NotAnImage as error:
        yield Fault(at, FaultType.INVALID, str(error), image)


def _command_faults(command: Any, at: Path) -> Iterator[Fault]:
    if not isinstance(command, list):
        return
    if not command:
        yield Fault(at, FaultType.REQUIRED, "must name the program to run")
    elif command[0] == "":
        yield Fault((*at, 0), FaultType.REQUIRED, "must name the program to run")
    for index, word in enumerate(command):
        if not isinstance(word, str):
            continue
        if "\0" in word:
            yield Fault((*at, index), FaultType.INVALID, "must not contain NUL characters", word)
        if len(word.encode(errors="replace")) > MAX_ARGUMENT:
            yield Fault((*at, index), FaultType.TOO_LONG, f"may not be more than {MAX_ARGUMENT} bytes")
    yield from _too_long_together(command, at, MAX_COMMAND)


def _too_long_together(texts: Sequence[Any], at: Path, limit: int) -> Iterator[Fault]:
    if sum(len(text.encode(errors="replace")) for text in texts if isinstance(text, str)) > limit:
        yield Fault(at, FaultType.TOO_LONG, f"may not be more than {limit} bytes in all")


def _pull_secret_faults(secrets: Any, at: Path) -> Iterator[Fault]:
    for index, secret in enumerate(secrets if isinstance(secrets, list) else ()):
        name = secret.get("name") if isinstance(secret, dict) else None
        if isinstance(name, str) and (fault := subdomain_fault(name)):
            yield Fault((*at, index, "name"), FaultType.INVALID, fault, name)


def _mount_path_faults(path: Any, at: Path) -> Iterator[Fault]:
    if not isinstance(path, str):
        return
    if not path.startswith("/"):
        yield Fault(at, FaultType.INVALID, "must be an absolute path", path)
    elif path.strip("/") == "":
        yield Fault(at, FaultType.INVALID, "must not be the root of the container", path)
    elif not _CLEAN.fullmatch(path):
        detail = "must be a clean path: no '//', '.' or '..', no ':' or control characters, no '/' at the end"
        yield Fault(at, FaultType.INVALID, detail, path)
    elif _HIDDEN.fullmatch(path):
        yield Fault(at, FaultType.INVALID, "must not hide the container's /dev, /proc or /sys", path)


def _node_check_faults(check: Any, at: Path) -> Iterator[Fault]:
    if isinstance(check, dict):
        yield from _command_faults(check.get("command"), (*at, "command"))
        yield from _image_faults(check.get("image"), (*at, "image"))


def _exclude_path_faults(paths: Any, at: Path) -> Iterator[Fault]:
    for index, path in enumerate(paths if isinstance(paths, list) else ()):
        if not isinstance(path, str):
            continue
        if not path.startswith("/"):
            yield Fault((*at, index), FaultType.INVALID, "must be an absolute path", path)
        elif re.search(r"[\n\r\0]", path):
            detail = "must not contain line breaks or NUL characters"
            yield Fault((*at, index), FaultType.INVALID, detail, path)
    if isinstance(paths, list):
        yield from _too_long_together(paths, at, MAX_EXCLUDED)


def _drain_faults(spec: Mapping[str, Any]) -> Iterator[Fault]:
    options = spec.get("drainOptions")
    if isinstance(options, dict) and options.get("enabled") is True and spec.get("cordon") is not True:
        where = (*SPEC, "drainOptions", "enabled")
        yield Fault(where, FaultType.INVALID, "needs spec.cordon: true", True)


_SHARED: Mapping[str, Check] = {
    "image": _image_faults,
    "imagePullSecrets": _pull_secret_faults,
    "nodeSelector": selector_faults,
}
_CHECKS: Mapping[str, Mapping[str, Check]] = {
    NODE_OPS.kind: {
        **_SHARED,
        "command": _command_faults,
        "hostMountPath": _mount_path_faults,
        "preflight": _node_check_faults,
        "postflight": _node_check_faults,
    },
    NODE_OP_UPGRADES.kind: {**_SHARED, "excludePaths": _exclude_path_faults},
}
