"""The defaults of pods and jobs that the API server fills in (pkg/apis/core/v1/defaults.go, batch/v1, admission).

Everything here edits an object in place that the caller owns.
"""

from __future__ import annotations

from typing import Any

from tests.sandbox.store.jsondata import Object

_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_EVICTION_SECONDS = 300


def pod_spec(spec: Object) -> None:
    """The defaults of a PodSpec, in a pod or in a template."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for key in ("initContainers", "containers"):
        for one in _objects(spec.get(key)):
            _container(one)
    for volume in _objects(spec.get("volumes")):
        _volume(volume)


def _objects(items: Any) -> list[Object]:
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _container(container: Object) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    container.setdefault("imagePullPolicy", _pull_policy(str(container.get("image", ""))))
    for port in _objects(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for env in _objects(container.get("env")):
        if isinstance(env.get("valueFrom"), dict) and isinstance(env["valueFrom"].get("fieldRef"), dict):
            env["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")


def _pull_policy(image: str) -> str:
    last = image.rsplit("/", 1)[-1]
    untagged = "@" not in last and (":" not in last or last.endswith(":latest"))
    return "Always" if untagged else "IfNotPresent"


def _volume(volume: Object) -> None:
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", 420)
    if not any(key != "name" for key in volume):
        volume["emptyDir"] = {}


def pod(obj: Object) -> None:
    """Defaults and admission plugins of a Pod: tolerations, priority, service links."""
    spec = obj.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    _default_tolerations(spec)


def _default_tolerations(spec: Object) -> None:
    tolerations = spec.get("tolerations") or []
    for taint in (_NOT_READY, _UNREACHABLE):
        if not any(_covers(one, taint) for one in tolerations):
            seconds = _EVICTION_SECONDS
            added = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            tolerations = [*tolerations, added]
    spec["tolerations"] = tolerations


def _covers(toleration: Object, taint: str) -> bool:
    key = toleration.get("key") or ""
    return key in ("", taint) and toleration.get("effect") in (None, "", "NoExecute")


def job(obj: Object) -> None:
    """Defaults of a Job's spec and of its pod template."""
    spec = obj.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    if "podFailurePolicy" in spec:
        spec.setdefault("podReplacementPolicy", "Failed")
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def job_selector(obj: Object) -> None:
    """The generated selector and labels, which need the uid (jobStrategy.PrepareForCreate)."""
    spec, uid, name = obj["spec"], obj["metadata"]["uid"], obj["metadata"]["name"]
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    labels.setdefault("batch.kubernetes.io/controller-uid", uid)
    labels.setdefault("batch.kubernetes.io/job-name", name)
    labels.setdefault("controller-uid", uid)
    labels.setdefault("job-name", name)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def quality(spec: Object) -> str:
    """status.qosClass of a pod."""
    containers = [*spec.get("initContainers", []), *spec.get("containers", [])]
    asked = [one.get("resources") or {} for one in containers]
    if not any(one.get("requests") or one.get("limits") for one in asked):
        return "BestEffort"
    full = all(
        set(one.get("limits") or {}) >= {"cpu", "memory"}
        and one.get("requests", one["limits"]) == one["limits"]
        for one in asked
    )
    return "Guaranteed" if full else "Burstable"
