"""`kairos-operator validate`: the webhooks' defaults and validation on manifests, without a cluster.

For CI and GitOps repositories. Faults are printed as `file:line:column: field: fault`; documents of other kinds are
passed over. Exit code 0: no fault; 1: faults; 2: a file that cannot be read. What only a cluster knows (which nodes
there are, what a namespace enforces, what became of an operation) is not looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import yaml

from kairos_operator.api.crd import object_schema
from kairos_operator.api.nodeop import DEFAULT_IMAGE
from kairos_operator.api.objects import KINDS
from kairos_operator.api.resources import GROUP, VERSION
from webhooks.defaults import defaulted
from webhooks.documents import Document, NotYaml, read_documents
from webhooks.faults import Fault, FaultType, ordered
from webhooks.faults import Path as FieldPath
from webhooks.lookups import NoLookups
from webhooks.metadata import metadata_faults
from webhooks.structure import unknown_fields
from webhooks.validate import Checked, checked
from webhooks.warnings import risks_of

STANDARD_INPUT = "-"


@dataclass(slots=True)
class Tally:
    """What the files came to."""

    valid: list[dict[str, Any]] = field(default_factory=list)
    """The faultless objects, defaults filled in."""
    faulty: int = 0
    passed_over: int = 0
    unreadable: int = 0

    @property
    def exit_code(self) -> int:
        return 2 if self.unreadable else 1 if self.faulty else 0


def add_validate_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what the subcommand takes."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a YAML or JSON manifest; - for standard input"
    )
    parser.add_argument(
        "-o", "--output", choices=["yaml"], help="print the faultless objects, defaults filled in"
    )
    parser.add_argument(
        "--default-image",
        default=DEFAULT_IMAGE,
        help="what a NodeOp without an image runs (default: %(default)s)",
    )


def validate_files(args: argparse.Namespace) -> int:
    """Runs the subcommand and returns its exit code. Findings go to stdout, but to stderr with `-o yaml`."""
    tally = Tally()
    report = sys.stderr if args.output else sys.stdout
    for name in args.files:
        try:
            raw = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
            text = raw.decode("utf-8-sig")  # editors on Windows begin files with a BOM, which kubectl takes
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            print(f"{name}: {reason}", file=report)
            tally.unreadable += 1
            continue
        _validate(name, text, args.default_image, tally, report)
    if args.output:
        yaml.safe_dump_all(tally.valid, sys.stdout, sort_keys=False, allow_unicode=True)
    others = f", {tally.passed_over} of other kinds not looked at" if tally.passed_over else ""
    print(f"{len(tally.valid)} valid, {tally.faulty} with faults{others}", file=sys.stderr)
    return tally.exit_code


def _validate(name: str, text: str, image: str, tally: Tally, report: TextIO) -> None:
    try:
        for document in read_documents(text):
            for obj, at in _objects(document.value, ()):
                _validate_object(name, document, obj, at, image, tally, report)
    except NotYaml as error:
        print(f"{name}:{error.line}:{error.column}: {error}", file=report)
        tally.faulty += 1


def _objects(value: Any, at: FieldPath) -> Iterator[tuple[Any, FieldPath]]:
    """The objects in a document, those of a List one by one, and where they stand."""
    if (
        isinstance(value, dict)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    ):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*at, "items", index))
    else:
        yield value, at


def _validate_object(
    name: str, document: Document, obj: Any, at: FieldPath, image: str, tally: Tally, report: TextIO
) -> None:
    if isinstance(obj, dict) and not _is_ours(obj):
        tally.passed_over += 1
        return
    faults = [fault for fault in document.faults if fault.path[: len(at)] == at]
    found = _checked(obj, image)
    faults = ordered([*(_from(fault, at) for fault in faults), *found.faults])
    places = [(document.position((*at, *fault.path)), fault) for fault in faults]
    for place, fault in sorted(places, key=lambda found: (found[0].line, found[0].column)):
        print(f"{name}:{place.line}:{place.column}: {fault}", file=report)
    if faults or found.spec is None:
        tally.faulty += 1
        return
    for warning in risks_of(found.spec, "", NoLookups()):
        field = warning.partition(":")[0].split(".")
        place = document.position((*at, *field))
        print(f"{name}:{place.line}:{place.column}: warning: {warning}", file=report)
    tally.valid.append(defaulted(KINDS[obj["kind"]], obj, image))


def _is_ours(obj: Mapping[str, Any]) -> bool:
    """Whether the object is one of ours by its group, or would be if it named one."""
    version = obj.get("apiVersion")
    return obj.get("kind") in list(KINDS) if not version else str(version).split("/")[0] == GROUP


def _checked(obj: Any, image: str) -> Checked:
    if not isinstance(obj, dict):
        return Checked(
            None, [Fault((), FaultType.WRONG_TYPE, "must be an object with apiVersion and kind", obj)]
        )
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if version != f"{GROUP}/{VERSION}":
        detail = f'supported values: "{GROUP}/{VERSION}"'
        return Checked(None, [Fault(("apiVersion",), FaultType.NOT_SUPPORTED, detail, version)])
    if not isinstance(kind, str) or kind not in KINDS:
        detail = "supported values: " + ", ".join(f'"{name}"' for name in KINDS)
        return Checked(None, [Fault(("kind",), FaultType.NOT_SUPPORTED, detail, kind)])
    resource = KINDS[kind]
    schema = object_schema(resource)
    schema["properties"].pop("metadata")
    known = {name: value for name, value in obj.items() if name not in ("metadata", "status")}
    spec, faults = checked(resource, defaulted(resource, obj, image))
    return Checked(spec, [*unknown_fields(schema, known, ()), *metadata_faults(obj.get("metadata")), *faults])


def _from(fault: Fault, at: FieldPath) -> Fault:
    return Fault(fault.path[len(at) :], fault.type, fault.detail, fault.value)
