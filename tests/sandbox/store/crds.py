"""CustomResourceDefinitions: what they bring, and what is refused in one.

A definition that asks for something this server does not do is refused with 501 instead of being half obeyed.
"""

from __future__ import annotations

from datetime import datetime

from tests.sandbox.store.errors import Fault, invalid, not_implemented
from tests.sandbox.store.jsondata import Object, dig
from tests.sandbox.store.jsonpath import PathError, steps
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.metadata import timestamp
from tests.sandbox.store.schema import Schema


def accepted(new: Object, old: Object | None, now: datetime) -> Object:
    """The definition with the status that the API server's controllers would soon give it.

    Raises 422 for a definition that contradicts itself and 501 for one that asks for too much.
    """
    faults = _faults(new)
    if faults:
        raise invalid("apiextensions.k8s.io", "CustomResourceDefinition", new["metadata"]["name"], faults)
    if dig(new, "spec", "conversion", "strategy") == "Webhook":
        raise not_implemented("conversion webhooks of custom resources")
    for version in new["spec"]["versions"]:
        Schema.of(version["schema"]["openAPIV3Schema"]).check()
        _check_columns(version)
    since = timestamp(now)
    conditions = dig(old, "status", "conditions") or [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", since),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", since),
    ]
    stored = next(one["name"] for one in new["spec"]["versions"] if one.get("storage"))
    status = {"acceptedNames": new["spec"]["names"], "conditions": conditions, "storedVersions": [stored]}
    return {**new, "status": status}


def _check_columns(version: Object) -> None:
    for column in version.get("additionalPrinterColumns") or ():
        try:
            steps(column["jsonPath"])
        except PathError as error:
            raise not_implemented(f"a printer column: {error}") from error


def _condition(name: str, reason: str, message: str, since: str) -> Object:
    return {"type": name, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since}


def _faults(definition: Object) -> list[Fault]:
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    faults = [Fault("Required", f"spec.names.{key}") for key in ("plural", "kind") if not names.get(key)]
    faults += [
        Fault("Required", f"spec.{key}") for key in ("group", "scope", "versions") if not spec.get(key)
    ]
    if faults:
        return faults
    wanted = f"{names['plural']}.{spec['group']}"
    name = definition["metadata"]["name"]
    if name != wanted:
        faults.append(Fault("Invalid", "metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    versions = spec["versions"]
    if sum(bool(one.get("storage")) for one in versions) != 1:
        shown = [one.get("name") for one in versions]
        text = "must have exactly one version marked as storage version"
        faults.append(Fault("Invalid", "spec.versions", shown, text))
    for index, one in enumerate(versions):
        if not dig(one, "schema", "openAPIV3Schema"):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            faults.append(Fault("Required", path, None, "schemas are required"))
    return faults


def custom_kinds(definition: Object) -> list[Kind]:
    """The kinds that an accepted definition serves, one for each served version."""
    spec = definition["spec"]
    names, group = spec["names"], spec["group"]
    stored = next(one["name"] for one in spec["versions"] if one.get("storage"))
    return [
        Kind(
            group=group,
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec["scope"] == "Namespaced",
            singular=names.get("singular", ""),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            list_kind=names.get("listKind", ""),
            status="status" in (version.get("subresources") or {}),
            generation=True,
            unconditional=False,
            custom=True,
            schema=version["schema"]["openAPIV3Schema"],
            columns=tuple(version.get("additionalPrinterColumns") or ()),
            selectable=frozenset(
                one["jsonPath"].lstrip(".") for one in version.get("selectableFields") or ()
            ),
            storage_version=f"{group}/{stored}",
        )
        for version in spec["versions"]
        if version.get("served")
    ]
