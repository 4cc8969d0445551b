"""The columns of built-in kinds: pkg/printers/internalversion/printers.go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.sandbox.store import Object
from tests.sandbox.store.jsondata import dig
from tests.sandbox.store.metadata import parse_timestamp

_CONTROL_PLANE = "node-role.kubernetes.io/"
_UNKNOWN = "<unknown>"
_NONE = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """A column after the name; priority 1 is shown by `-o wide` only."""

    name: str
    cell: Callable[[Object, datetime], Any]
    priority: int = 0
    type: str = "string"


def human(seconds: float) -> str:
    """A duration in the short form of kubectl (k8s.io/apimachinery/pkg/util/duration, HumanDuration)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 60 * 2:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 60 * 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


def since(stamp: Any, now: datetime) -> str:
    """The age of a timestamp."""
    if not isinstance(stamp, str) or not stamp:
        return _UNKNOWN
    return human((now - parse_timestamp(stamp)).total_seconds())


def _age(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _at(*path: str, default: Any = "") -> Callable[[Object, datetime], Any]:
    return lambda obj, now: dig(obj, *path, default=default)


def _condition(obj: Object, name: str) -> Object | None:
    conditions = dig(obj, "status", "conditions", default=[])
    return next((one for one in conditions if one.get("type") == name), None)


def _node_status(obj: Object, _: datetime) -> str:
    ready = _condition(obj, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if dig(obj, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: Object, _: datetime) -> str:
    labels = obj["metadata"].get("labels") or {}
    roles = [key.removeprefix(_CONTROL_PLANE) for key in labels if key.startswith(_CONTROL_PLANE)]
    roles += [value for key, value in labels.items() if key == "kubernetes.io/role" and value]
    return ",".join(sorted(roles)) or _NONE


def _node_address(kind: str) -> Callable[[Object, datetime], str]:
    def address(obj: Object, _: datetime) -> str:
        found = dig(obj, "status", "addresses", default=[])
        return next((one["address"] for one in found if one.get("type") == kind), _NONE)

    return address


def _containers(obj: Object) -> list[Object]:
    return list(dig(obj, "status", "containerStatuses", default=[]))


def _pod_ready(obj: Object, _: datetime) -> str:
    ready = sum(bool(one.get("ready")) for one in _containers(obj))
    return f"{ready}/{len(dig(obj, 'spec', 'containers', default=[]))}"


def _pod_status(obj: Object, _: datetime) -> str:
    reason = str(dig(obj, "status", "reason") or dig(obj, "status", "phase", default=_UNKNOWN))
    for index, one in enumerate(dig(obj, "status", "initContainerStatuses", default=[])):
        ended = dig(one, "state", "terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        total = len(dig(obj, "spec", "initContainers", default=[]))
        said = dig(one, "state", "waiting", "reason", default="")
        if ended is not None:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        return f"Init:{said}" if said and said != "PodInitializing" else f"Init:{index}/{total}"
    for one in reversed(_containers(obj)):
        state = one.get("state") or {}
        for key in ("waiting", "terminated"):
            if dig(state, key, "reason"):
                reason = str(state[key]["reason"])
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if reason == "NodeLost" else "Terminating"
    return reason


def _restarts(obj: Object, _: datetime) -> str:
    both = [*_containers(obj), *dig(obj, "status", "initContainerStatuses", default=[])]
    return str(sum(one.get("restartCount", 0) for one in both))


def _job_status(obj: Object, _: datetime) -> str:
    for name, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        found = _condition(obj, name)
        if found and found.get("status") == "True":
            return shown
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        found = _condition(obj, name)
        if found and found.get("status") == "True":
            return name
    return "Running"


def _completions(obj: Object, _: datetime) -> str:
    wanted = dig(obj, "spec", "completions")
    done = dig(obj, "status", "succeeded", default=0)
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = dig(obj, "spec", "parallelism", default=0)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(obj: Object, now: datetime) -> str:
    begun, ended = dig(obj, "status", "startTime"), dig(obj, "status", "completionTime")
    if not begun:
        return ""
    end = parse_timestamp(ended) if ended else now
    return human((end - parse_timestamp(begun)).total_seconds())


def _last_seen(obj: Object, now: datetime) -> str:
    seen = dig(obj, "series", "lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    return since(seen or obj.get("deprecatedLastTimestamp"), now)


def _regarding(obj: Object, _: datetime) -> str:
    found = obj.get("involvedObject") or obj.get("regarding") or {}
    kind, name = str(found.get("kind", "")).lower(), found.get("name", "")
    return f"{kind}/{name}" if name else str(kind)


def _message(obj: Object, _: datetime) -> str:
    return str(obj.get("message") or obj.get("note") or "").strip()


def _count(obj: Object, *path: str) -> int:
    return len(dig(obj, *path, default={}))


AGE = Column("Age", _age)
_EVENTS = (
    Column("Last Seen", _last_seen),
    Column("Type", _at("type")),
    Column("Reason", _at("reason")),
    Column("Object", _regarding),
    Column("Source", _at("reportingComponent"), 1),
    Column("Message", _message),
    Column("Name", _at("metadata", "name"), 1),
)
BUILT_IN: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "nodes"): (
        Column("Status", _node_status),
        Column("Roles", _roles),
        AGE,
        Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), 1),
        Column("External-IP", _node_address("ExternalIP"), 1),
        Column("OS-Image", _at("status", "nodeInfo", "osImage", default=_UNKNOWN), 1),
        Column("Kernel-Version", _at("status", "nodeInfo", "kernelVersion", default=_UNKNOWN), 1),
        Column(
            "Container-Runtime", _at("status", "nodeInfo", "containerRuntimeVersion", default=_UNKNOWN), 1
        ),
    ),
    ("", "pods"): (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _at("status", "podIP", default=_NONE), 1),
        Column("Node", _at("spec", "nodeName", default=_NONE), 1),
    ),
    ("batch", "jobs"): (
        Column("Status", _job_status),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
    ),
    ("", "events"): _EVENTS,
    ("events.k8s.io", "events"): _EVENTS,
    ("", "namespaces"): (Column("Status", _at("status", "phase")), AGE),
    ("", "secrets"): (Column("Type", _at("type")), Column("Data", lambda obj, _: _count(obj, "data")), AGE),
    ("", "configmaps"): (Column("Data", lambda obj, _: _count(obj, "data")), AGE),
    ("coordination.k8s.io", "leases"): (Column("Holder", _at("spec", "holderIdentity")), AGE),
    ("policy", "poddisruptionbudgets"): (
        Column("Min Available", _at("spec", "minAvailable", default="N/A")),
        Column("Max Unavailable", _at("spec", "maxUnavailable", default="N/A")),
        AGE,
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (
        Column("Created At", _at("metadata", "creationTimestamp")),
    ),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): (
        Column("Webhooks", lambda obj, _: _count(obj, "webhooks")),
        AGE,
    ),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): (
        Column("Webhooks", lambda obj, _: _count(obj, "webhooks")),
        AGE,
    ),
}
