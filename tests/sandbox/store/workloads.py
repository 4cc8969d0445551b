"""What is wrong with a Pod or a Job: the part of the API server's validation that manifests run into."""

from __future__ import annotations

import re
from typing import Any

from tests.sandbox.store.errors import Fault
from tests.sandbox.store.jsondata import Object, same_json, without
from tests.sandbox.store.names import label_faults

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RESTART = ("Always", "OnFailure", "Never")
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
)
_LABEL_TEXT += (
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation "
)
_LABEL_TEXT += "is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"


def _objects(items: Any) -> list[Object]:
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def pod_spec_faults(spec: Object, path: str) -> list[Fault]:
    """Faults of a PodSpec under `path` (`spec`, or `spec.template.spec`)."""
    volumes = [str(one.get("name", "")) for one in _objects(spec.get("volumes"))]
    faults = _named(volumes, f"{path}.volumes")
    if not spec.get("containers"):
        faults.append(Fault("Required", f"{path}.containers"))
    for key in ("initContainers", "containers"):
        containers = _objects(spec.get(key))
        faults += _named([str(one.get("name", "")) for one in containers], f"{path}.{key}")
        for index, one in enumerate(containers):
            faults += _container_faults(one, f"{path}.{key}[{index}]", volumes)
    if spec.get("restartPolicy") not in _RESTART:
        text = 'supported values: "Always", "OnFailure", "Never"'
        faults.append(Fault("NotSupported", f"{path}.restartPolicy", spec.get("restartPolicy"), text))
    for index, one in enumerate(_objects(spec.get("volumes"))):
        if isinstance(one.get("hostPath"), dict) and not one["hostPath"].get("path"):
            faults.append(Fault("Required", f"{path}.volumes[{index}].hostPath.path"))
    return faults


def _named(names: list[str], path: str) -> list[Fault]:
    faults = []
    for index, name in enumerate(names):
        where = f"{path}[{index}].name"
        if not name:
            faults.append(Fault("Required", where))
        elif not _DNS_LABEL.fullmatch(name):
            faults.append(Fault("Invalid", where, name, _LABEL_TEXT))
        elif name in names[:index]:
            faults.append(Fault("Duplicate", where, name))
    return faults


def _container_faults(container: Object, path: str, volumes: list[str]) -> list[Fault]:
    faults = [] if container.get("image") else [Fault("Required", f"{path}.image")]
    for index, mount in enumerate(_objects(container.get("volumeMounts"))):
        if mount.get("name") not in volumes:
            where = f"{path}.volumeMounts[{index}].name"
            faults.append(Fault("NotFound", where, mount.get("name", "")))
        if not mount.get("mountPath"):
            faults.append(Fault("Required", f"{path}.volumeMounts[{index}].mountPath"))
    return faults


def pod_faults(new: Object, old: Object | None) -> list[Fault]:
    """Faults of a Pod, and of the change where there is an old one."""
    if old is None:
        return pod_spec_faults(new["spec"], "spec")
    if new["spec"] is old["spec"] or same_json(_fixed(new["spec"]), _fixed(old["spec"])):
        return []
    text = (
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    return [Fault("Forbidden", "spec", None, text)]


def _fixed(spec: Object) -> Object:
    kept = without(spec, "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    for key in ("containers", "initContainers"):
        if key in kept:
            kept[key] = [without(one, "image") for one in kept[key]]
    return kept


def job_faults(new: Object, old: Object | None) -> list[Fault]:
    """Faults of a Job, and of the change where there is an old one."""
    spec = new["spec"]
    if old is not None:
        if spec is old["spec"]:
            return []
        return [
            Fault("Invalid", f"spec.{key}", spec.get(key), "field is immutable")
            for key in ("completions", "selector", "template", "completionMode")
            if not same_json(spec.get(key), old["spec"].get(key))
        ]
    template = spec["template"]
    faults = label_faults(template["metadata"].get("labels"), "spec.template.labels")
    faults += pod_spec_faults(template["spec"], "spec.template.spec")
    if template["spec"].get("restartPolicy") == "Always":
        where = "spec.template.spec.restartPolicy"
        faults.append(Fault("Required", where, None, 'valid values: "OnFailure", "Never"'))
    for key in ("backoffLimit", "parallelism", "completions", "activeDeadlineSeconds"):
        value = spec.get(key)
        if isinstance(value, int) and value < 0:
            faults.append(Fault("Invalid", f"spec.{key}", value, "must be greater than or equal to 0"))
    return faults
