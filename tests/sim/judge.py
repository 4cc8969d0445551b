"""What must never happen, checked at every write against what the world knows, never against the operator's words.

An operation's word is only used where it is what is judged: a status must be true, must not go back, and once it is
final nothing more may be begun. What "in flight" means here: a claim, an unfinished Job, check pod or reboot pod of an
operation on a node, or its reboot that is not over.
"""

from __future__ import annotations

from kairos_operator.api.names import FINALIZER, LABEL_NODE_OP
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS
from tests.sim.calls import LATE
from tests.sim.cluster import Change, Cluster, Object
from tests.sim.drains import ENDED, must_have_gone, must_not_evict
from tests.sim.ledger import Ledger, Operation, bearings
from tests.sim.roll import Roll
from tests.sim.statuses import check_node_op, check_upgrade
from tests.sim.truth import Broken, Truth, owner_uid

PATIENCE = 300.0  # seconds after which a deletion gives up on nodes that cannot be written


class Judge:
    """Listens to every write; raises Broken."""

    def __init__(self, cluster: Cluster, truth: Truth) -> None:
        self.ledger = Ledger(cluster, truth)
        self._roll = Roll()
        self._cluster = cluster
        self._truth = truth
        cluster.listeners.append(self._heard)

    def _heard(self, change: Change) -> None:
        ours = change.actor.startswith("operator")
        if change.resource == NODE_OPS:
            self._operation_changed(change)
        elif change.resource == NODE_OP_UPGRADES:
            self.ledger.sights.upgrade_seen(change.obj)
            check_upgrade(change, self.ledger)
        elif change.resource == JOBS:
            self._job_changed(change, ours=ours)
        elif change.resource == PODS:
            self._pod_changed(change, ours=ours)
        elif change.resource == NODES:
            self._node_changed(change, ours=ours)

    # Operations

    def _operation_changed(self, change: Change) -> None:
        uid = change.obj["metadata"]["uid"]
        known = self.ledger.operations.get(uid)
        if change.old is None:
            self.ledger.operations[uid] = Operation(change.obj)
            return
        assert known is not None
        before, known.obj = known.obj, change.obj
        if change.new is None:
            self._cleared_up(known, change)
            known.gone = True
            return
        if FINALIZER in _finalizers(before) and FINALIZER not in _finalizers(change.new):
            self._cleared_up(known, change)
        known.note_steps(before, self._cluster.now)
        check_node_op(before, change.new, known, self.ledger)
        if not (before.get("status") or {}).get("startedAt") and known.status.get("startedAt"):
            self._roll.check(known, known.status.get("nodeStatuses") or {}, self._cluster.now)

    def _cleared_up(self, operation: Operation, change: Change) -> None:
        """Before an operation goes, or is told that it may, its cordons must be lifted."""
        deleting = operation.deleting_since(change.old)
        if deleting is None or self._cluster.now - deleting >= PATIENCE:
            return
        if FINALIZER not in _finalizers(change.old):
            return  # it never had one, or was done with it
        for node in self._cluster.all(NODES):
            claimed, cordoned = bearings(node)
            # Behind a cordon that a failed operation kept, another one may be at work: then the cordon must not be
            # lifted under it, and goes when that one is done (the end of the run sees to that).
            behind = self.ledger.by_claim(claimed) if claimed else None
            covered = behind is not None and behind is not operation and not behind.gone
            if claimed == operation.claim or (cordoned == operation.claim and not covered):
                name = node["metadata"]["name"]
                raise Broken(f"{operation.name} is let go while its claim is on {name}")

    # Jobs and pods

    def _job_changed(self, change: Change, *, ours: bool) -> None:
        job = change.obj
        operation = self.ledger.operations.get(owner_uid(job))
        node = job["spec"]["template"]["spec"].get("nodeName", "")
        token = f"job {job['metadata']['name']}"
        lost = operation is not None and change.actor.endswith(LATE) and self.ledger.lost(operation, node)
        if change.old is None and ours:
            self._job_made(job, operation, node, lost=lost)
        if operation is None:
            return
        if change.new is None or "deletionTimestamp" in job["metadata"] or _job_ended(job):
            self.ledger.drop(operation, node, token)
        elif change.old is None and not lost:
            self.ledger.take(operation, node, token)

    def _job_made(self, job: Object, operation: Operation | None, node: str, *, lost: bool) -> None:
        name = job["metadata"]["name"]
        if operation is None:
            raise Broken(f"Job {name} is made for no operation")
        if job["spec"]["backoffLimit"] != operation.spec.get("backoffLimit", 6):
            raise Broken(f"Job {name} has another backoffLimit than its operation")
        earlier = operation.jobs.setdefault(node, [])
        excused = [
            uid for uid in earlier if uid in self._truth.deleted_jobs and not operation.knew_of(node, uid)
        ]
        if len(earlier) > len(excused):
            raise Broken(f"a second Job of {operation.name} is made on {node}")
        earlier.append(job["metadata"]["uid"])
        if (
            not lost
        ):  # to a lost node it was under way before, and nobody can take it back; it is ended once it is seen
            self._job_may_begin(operation, name, node)

    def _job_may_begin(self, operation: Operation, name: str, node: str) -> None:
        self.ledger.may_begin(operation, f"Job {name}", node)
        if operation.disrupts:
            found = self._cluster.find(NODES, node)
            # A Node that was registered anew a moment ago carries no claim, and nobody can have heard of that yet.
            if found is not None and self.ledger.stands(node) and bearings(found)[0] != operation.claim:
                raise Broken(f"Job {name} is made on {node}, which {operation.name} does not hold")
        if operation.reboots:
            self._reboot_pod_stands(operation, node)
        if operation.drains:
            must_have_gone(self._cluster, self.ledger, operation, node)

    def _reboot_pod_stands(self, operation: Operation, node: str) -> None:
        tokens = operation.tokens.get(node, set())
        deleted = any("a pod was deleted" in why for why in self._truth.excuses[node])
        if not deleted and not any(token.startswith("reboot pod") for token in tokens):
            raise Broken(f"a Job is made on {node} before its reboot pod")

    def _pod_changed(self, change: Change, *, ours: bool) -> None:
        pod = change.obj
        operation = self.ledger.operations.get(owner_uid(pod))
        deleting = change.new is None or "deletionTimestamp" in pod["metadata"]
        was_deleting = change.old is not None and "deletionTimestamp" in change.old["metadata"]
        if ours and deleting and not was_deleting:
            self._pod_ended(change, operation)
        if operation is None:
            return
        labels = pod["metadata"].get("labels") or {}
        role = next((r for r in ("preflight", "postflight", "reboot") if f"kairos.io/{r}" in labels), "")
        node, token = pod["spec"]["nodeName"], f"{role} pod {pod['metadata']['uid']}"
        if change.old is None and ours:
            self._check_pod(pod, role)
            # A check's creation that comes late may come after its verdict: no harm, and it is taken away again.
            if role == "reboot" or not change.actor.endswith(LATE):
                self.ledger.may_begin(operation, f"the {role} pod", node)
        ended = (pod.get("status") or {}).get("phase") in ENDED
        self.ledger.sights.check_seen(pod, role, there=not deleting)
        if deleting or ended:
            self.ledger.drop(operation, node, token)
        elif change.old is None:
            self.ledger.take(operation, node, token)

    def _check_pod(self, pod: Object, role: str) -> None:
        spec = pod["spec"]
        if not any(one == {"operator": "Exists"} for one in spec.get("tolerations") or ()):
            raise Broken(f"the {role} pod does not tolerate every taint")
        privileged = spec["containers"][0]["securityContext"].get("privileged")
        if bool(privileged) != (role == "reboot"):
            raise Broken(f"the {role} pod is {'' if privileged else 'not '}privileged")

    def _pod_ended(self, change: Change, operation: Operation | None) -> None:
        """The operator asked for the end of a pod."""
        pod = change.obj
        if change.verb == "evict":
            if not change.actor.endswith(LATE):  # nobody takes back an eviction that nobody hears of any more
                must_not_evict(self._cluster, self.ledger, pod)
            self._truth.excuse(pod["spec"]["nodeName"], "a pod was evicted")
        elif operation is None and LABEL_NODE_OP not in (pod["metadata"].get("labels") or {}):
            raise Broken(f"the operator deletes pod {pod['metadata']['name']}, which is not its own")
        elif operation is not None and operation.awaits(pod):
            raise Broken(f"{operation.name} deletes {pod['metadata']['name']} before it stored its verdict")

    # Nodes

    def _node_changed(self, change: Change, *, ours: bool) -> None:
        node = change.name
        self._roll.heard(change, self._cluster.now)
        if change.new is None:
            self.ledger.cordons.pop(node, None)
            for operation in self.ledger.operations.values():
                self.ledger.drop(operation, node, "claim")
            return
        was, now = bearings(change.old), bearings(change.new)
        if (
            not ours
            and change.old is not None
            and _unschedulable(change.old)
            and not _unschedulable(change.new)
        ):
            self.ledger.uncordoned[node] = self._cluster.now
        if ours and change.old is not None:
            self._cordon_changed(change)
            self._claim_changed(node, was[0], now[0])
        for operation in self.ledger.operations.values():
            if was[0] == operation.claim != now[0]:
                self.ledger.drop(operation, node, "claim")
            elif now[0] == operation.claim != was[0]:
                self.ledger.take(operation, node, "claim")

    def _claim_changed(self, node: str, was: str, now: str) -> None:
        if was == now:
            return
        holder = self.ledger.by_claim(was) if was else None
        working = holder is not None and not holder.gone and not holder.deleting and holder.in_flight(node)
        if holder is not None and working and (now or not holder.decided(node)):
            raise Broken(f"{holder.name} loses its claim on {node} while it works there")
        if now:
            self.ledger.may_begin(self.ledger.holder(now), "a claim", node)

    def _cordon_changed(self, change: Change) -> None:
        assert change.old is not None
        assert change.new is not None
        node = change.name
        before, after = _unschedulable(change.old), _unschedulable(change.new)
        was, now = bearings(change.old)[1], bearings(change.new)[1]
        if now and now != was:
            owned = was and self.ledger.cordons.get(node) == was
            if before and not owned:
                raise Broken(f"somebody else's cordon on {node} is claimed")
            if not after:
                raise Broken(f"{node} is said to be cordoned, and is not")
            self.ledger.cordons[node] = now
        if before and not after:
            if not was or self.ledger.cordons.get(node) != was:
                raise Broken(f"the cordon on {node} is lifted, which no operation had set")
            holder = self.ledger.by_claim(was)
            if holder is not None and not holder.gone and not holder.deleting and not holder.decided(node):
                raise Broken(f"{node} is uncordoned while {holder.name} works on it")


def _unschedulable(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def _finalizers(obj: Object | None) -> list[str]:
    return list((obj or {"metadata": {}})["metadata"].get("finalizers") or [])


def _job_ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)
