"""Which pods a drain must have taken off a node, and which it must not touch: written anew from kubectl's rules."""

from __future__ import annotations

from kairos_operator.api.names import LABEL_NODE_OP
from kairos_operator.api.resources import NODES, PODS
from tests.sim.cluster import Cluster, Object
from tests.sim.ledger import Ledger, Operation
from tests.sim.truth import Broken, owner_uid


def _owner_kind(pod: Object) -> str:
    references = pod["metadata"].get("ownerReferences") or ()
    return next((str(one["kind"]) for one in references if one.get("controller")), "")


def goes(operation: Operation, pod: Object) -> bool:
    """Whether the operation's drain evicts the pod."""
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and means(operation, pod)


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
        if pod["spec"].get("nodeName") != node or not goes(operation, pod):
            continue
        if LABEL_NODE_OP in (pod["metadata"].get("labels") or {}):
            continue  # another operation's, which no cordon keeps off the node
        if "deletionTimestamp" in pod["metadata"] and away:
            continue  # nobody could tell that it had ended
        raise Broken(f"a Job is made on {node} while pod {pod['metadata']['name']} is still there")


def must_not_evict(cluster: Cluster, ledger: Ledger, pod: Object) -> None:
    """An eviction needs an operation that drains this node and means this pod; raises Broken."""
    node = pod["spec"]["nodeName"]
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return  # it ended while the eviction was on its way
    mine = ledger.operations.get(owner_uid(pod))
    for operation in ledger.operations.values():
        drains_here = operation.drains and operation.record(node).get("step") in ("Claim", "Drain")
        if drains_here and operation is not mine and means(operation, pod):
            return
    raise Broken(f"pod {pod['metadata']['name']} on {node} is evicted, which no drain asks for")
