"""Which pods a drain must have taken off a node, and which it must not touch: written anew from kubectl's rules."""

from __future__ import annotations

from kairos_operator.api.base import moment
from kairos_operator.api.names import LABEL_NODE_OP
from kairos_operator.api.resources import NODES, PODS
from tests.sim.cluster import START, Cluster, Object
from tests.sim.ledger import Ledger, Operation
from tests.sim.truth import OLDEST_ANSWER, Broken, owner_uid

ENDED = ("Succeeded", "Failed")


def _owner_kind(pod: Object) -> str:
    references = pod["metadata"].get("ownerReferences") or ()
    return next((str(one["kind"]) for one in references if one.get("controller")), "")


def means(operation: Operation, pod: Object) -> bool:
    """Whether the operation's drain means this pod, as long as it runs."""
    options = operation.spec.get("drainOptions") or {}
    labels = pod["metadata"].get("labels") or {}
    if LABEL_NODE_OP in labels and ("kairos.io/preflight" in labels or "kairos.io/postflight" in labels):
        return False
    if LABEL_NODE_OP in labels and _owner_kind(pod) == "Job":
        return False  # another operation's command, which is waited for
    if labels.get(LABEL_NODE_OP) == operation.obj["metadata"]["name"]:
        return False
    if _owner_kind(pod) == "DaemonSet":
        return not options.get("ignoreDaemonSets", True)
    if not _owner_kind(pod) and not options.get("force"):
        return False
    scratch = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
    return bool(options.get("deleteEmptyDirData")) or not scratch


def must_have_gone(cluster: Cluster, ledger: Ledger, operation: Operation, node: str) -> None:
    """Nothing that the drain evicts may be left when the Job starts; raises Broken."""
    found = cluster.find(NODES, node)
    if found is None or not (found.get("spec") or {}).get("unschedulable"):
        return  # somebody has uncordoned it
    if ledger.uncordoned.get(node, -1.0) >= operation.step_began.get(f"{node} Claim", 0.0):
        return
    away = any(why.startswith(("down", "cut off")) for why in ledger.truth.excuses.get(node, ()))
    for pod in cluster.all(PODS):
        if pod["spec"].get("nodeName") != node or pod["status"].get("phase") in ENDED:
            continue
        if "deletionTimestamp" in pod["metadata"] and away:
            continue  # nobody could tell that it had ended
        whose, _ = ledger.truth.jobs.get(owner_uid(pod), (operation.uid, ""))
        if whose != operation.uid:
            _check_company(operation, node, pod)
        elif means(operation, pod) and LABEL_NODE_OP not in (pod["metadata"].get("labels") or {}):
            raise Broken(f"a Job is made on {node} while pod {pod['metadata']['name']} is still there")


def _check_company(operation: Operation, node: str, pod: Object) -> None:
    """Another operation's command, which no cordon keeps off the node: one that was there before is waited for."""
    made = moment(pod["metadata"]["creationTimestamp"])
    assert made is not None
    drained = operation.step_began.get(f"{node} Job", 0.0)
    if (made - START).total_seconds() < drained - OLDEST_ANSWER:
        raise Broken(f"a Job is made on {node}, where {pod['metadata']['name']} had long been at work")


def must_not_evict(cluster: Cluster, ledger: Ledger, pod: Object) -> None:
    """An eviction needs an operation that drains this node and means this pod; raises Broken."""
    node = pod["spec"]["nodeName"]
    if (pod.get("status") or {}).get("phase") in ENDED:
        return  # it ended while the eviction was on its way
    mine = ledger.operations.get(owner_uid(pod))
    for operation in ledger.operations.values():
        drains_here = operation.drains and operation.record(node).get("step") in ("Claim", "Drain")
        if drains_here and operation is not mine and means(operation, pod):
            return
    raise Broken(f"pod {pod['metadata']['name']} on {node} is evicted, which no drain asks for")
