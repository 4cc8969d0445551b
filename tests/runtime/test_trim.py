"""What is thrown away of an object changes nothing that decisions see."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from kairos_operator.api.cluster import parse_job, parse_node, parse_pod
from kairos_operator.api.resources import JOBS, NODES, PODS, Resource
from kairos_operator.runtime.trim import trimmed

META = {
    "name": "x",
    "namespace": "default",
    "uid": "u",
    "resourceVersion": "7",
    "labels": {"kairos.io/nodeop": "op", "node-role.kubernetes.io/control-plane": "true"},
    "annotations": {
        "operator.kairos.io/cordoned-by": "default/op@u",
        "operator.kairos.io/claimed-by": "default/op@u",
        "operator.kairos.io/nodeop": "op",
        "operator.kairos.io/node": "n1",
        "kairos.io/reboot-state": "completed",
        "kairos.io/reboot-boot-id": "b",
        "kubernetes.io/config.mirror": "m",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    },
    "deletionTimestamp": "2026-01-02T03:04:05Z",
    "ownerReferences": [{"kind": "NodeOp", "name": "op", "uid": "o", "controller": True}],
    "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
}
NODE: dict[str, Any] = {
    "metadata": META,
    "spec": {"unschedulable": True, "podCIDR": "10.0.0.0/24"},
    "status": {
        "conditions": [
            {"type": "DiskPressure", "status": "False"},
            {
                "type": "Ready",
                "status": "True",
                "reason": "r",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
                "lastHeartbeatTime": "x",
            },
        ],
        "nodeInfo": {"bootID": "b", "kernelVersion": "6.1.0"},
        "images": [{"names": ["registry.example.com/image:1"], "sizeBytes": 1}],
    },
}
POD = {
    "metadata": META,
    "spec": {"nodeName": "n1", "volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "main"}]},
    "status": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "m",
        "initContainerStatuses": [{"name": "nodeop", "state": {"waiting": {"reason": "ErrImagePull"}}}],
        "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 1, "message": "no"}}}],
        "conditions": [{"type": "Ready", "status": "False"}],
    },
}
JOB = {
    "metadata": META,
    "spec": {"template": {"spec": {"containers": [{"name": "nodeop"}]}}},
    "status": {
        "failed": 2,
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
    },
}


@pytest.mark.parametrize(
    ("res", "parse", "obj"), [(NODES, parse_node, NODE), (PODS, parse_pod, POD), (JOBS, parse_job, JOB)]
)
def test_a_trimmed_object_parses_to_the_same_value_and_is_smaller(
    res: Resource, parse: Callable[[Any], object], obj: dict[str, Any]
) -> None:
    cut = trimmed(res, copy.deepcopy(obj))
    assert parse(cut) == parse(obj)
    assert len(str(cut)) < len(str(obj))


def test_of_annotations_only_those_stay_that_decisions_read() -> None:
    cut = trimmed(PODS, copy.deepcopy(POD))
    assert not any("volumes" in name for name in cut["metadata"]["annotations"])
    assert cut["status"].keys() == POD["status"].keys() - {"conditions"}


def test_a_time_that_nobody_set_is_as_if_it_were_not_there() -> None:
    """A zero metav1.Time is null in JSON; whoever writes a node's conditions may leave it so."""
    node = copy.deepcopy(NODE)
    node["status"]["conditions"][1]["lastTransitionTime"] = None
    assert parse_node(trimmed(NODES, copy.deepcopy(node))) == parse_node(node)


@pytest.mark.parametrize("res", [NODES, PODS, JOBS])
def test_an_object_with_nothing_in_it_is_trimmed_as_well(res: Resource) -> None:
    assert trimmed(res, {"metadata": {"name": "x"}})["metadata"] == {"name": "x"}
