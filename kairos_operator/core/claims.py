"""Holding a node: one operation that cordons or reboots at a time, and only one's own cordon is ever lifted.

The claim is an annotation on the Node, written with the resourceVersion that the decision was made on, so that of two
operations one wins. The cordon goes with it in the same write. A node that was unschedulable before stays somebody
else's: `cordoned-by` is not set, and nothing lifts it.
"""

from __future__ import annotations

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.names import Claim, Role
from kairos_operator.api.resources import JOBS, PODS
from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.actions import Action, ClaimNode, Delete, Note, ReleaseNode
from kairos_operator.core.site import Decision, Go, Site, Stay
from kairos_operator.core.snapshot import ChildKey, Mark, Snapshot, Standing

HOLDER_RECHECK_SECONDS = 5.0  # nothing on the node tells when an operation is done that has lost its claim


def claim(site: Site) -> Decision:
    """Take the node, or wait for whom it belongs to."""
    node = site.node
    assert node is not None  # a node that is gone has been decided on before any step
    if node.claimed_by == site.claim:
        return Go(
            Step.DRAIN if site.spec.drains else Step.JOB,
            "Cordoned" if node.cordoned_by == site.claim else "Claimed",
            _claimed_notes(site, node),
        )
    if not _known(site, node):
        return Stay("Claiming the node", recheck=0.0)
    if node.claimed_by and _standing(site, node.claimed_by) is Standing.HOLDS:
        holder = Claim.parse(node.claimed_by)
        whom = f"NodeOp {holder.operation}" if holder else f"the holder {node.claimed_by!r}"
        return Stay(f"Waiting for {whom}, which holds this node")
    worker = site.snapshot.holders.get(site.name)
    if worker:
        return Stay(
            f"Waiting for NodeOp {worker}, which is at work on this node", recheck=HOLDER_RECHECK_SECONDS
        )
    action = ClaimNode(site.name, node.resource_version, site.op.meta.claim, _cordons(site, node))
    refusal = site.refused(action.subject)
    return Stay(f"Cannot claim the node yet: {refusal}" if refusal else "Claiming the node", ((action,),))


def _known(site: Site, node: NodeView) -> bool:
    """Whether it is known how the other operations stand that the node's annotations name."""
    others = {node.claimed_by, node.cordoned_by} - {"", site.claim}
    return all(Mark(text, site.name) in site.snapshot.standings for text in others if Claim.parse(text))


def _standing(site: Site, annotation: str) -> Standing:
    # What is not known is taken as held: waiting is safe.
    return site.snapshot.standings.get(Mark(annotation, site.name), Standing.HOLDS)


def _cordons(site: Site, node: NodeView) -> bool:
    """Whether the cordon will be ours: the node is schedulable, or its cordon is a deleted operation's."""
    if not site.spec.cordon:
        return False
    if not node.unschedulable or node.cordoned_by == site.claim:
        return True
    return bool(node.cordoned_by) and _standing(site, node.cordoned_by) is Standing.GONE


def _claimed_notes(site: Site, node: NodeView) -> tuple[Note, ...]:
    if site.spec.cordon and node.unschedulable and node.cordoned_by != site.claim:
        text = f"{site.name} was cordoned by {_whose(node)} before; that cordon will not be lifted"
        return (site.note("AlreadyCordoned", text),)
    return ()


def release(site: Site) -> Decision:
    """Give the node back after the verdict: end what must not go on, drop the claim, lift our cordon."""
    endings = tuple((action,) for action in leftovers(site.snapshot, site.name, site.record))
    keep = bool(site.record.keep_cordon)
    message = site.record.message or ""
    if endings:
        return Stay(message, endings)
    action = giving_back(site.snapshot, site.node, keep_cordon=keep)
    if action is not None:
        refusal = site.refused(action.subject)
        return Stay(message, ((action,),), recheck=5.0 if refusal else None)
    if site.spec.disrupts and not _surely_free(site):
        return Stay(message, recheck=0.0)
    return Go(Step.DONE, _farewell(site, message), _released_notes(site))


def _surely_free(site: Site) -> bool:
    """Whether no claim of ours can stand on the node: it is gone, it was seen without one since the step began, or it
    shows our cordon without the claim, which only our own release leaves.
    """
    node, facts = site.node, site.snapshot
    if node is None:
        return site.name in facts.gone
    return site.name in facts.released or node.cordoned_by == site.claim


def giving_back(snapshot: Snapshot, node: NodeView | None, *, keep_cordon: bool) -> ReleaseNode | None:
    """The write that takes this operation off a node, or None where nothing of it is there.

    A cordon that is to be kept, but that somebody lifted, is ours no longer: what they set later is theirs. Behind a
    cordon that is not to be kept another operation may be at work by now; then it is lifted when that one is done.
    """
    if node is None:
        return None
    own = str(snapshot.op.meta.claim)
    kept = keep_cordon and node.unschedulable
    uncordon = node.cordoned_by == own and not kept and node.claimed_by in ("", own)
    if node.claimed_by != own and not uncordon:
        return None
    return ReleaseNode(node.name, node.resource_version, snapshot.op.meta.claim, uncordon)


def leftovers(snapshot: Snapshot, name: str, record: NodeStatus) -> list[Action]:
    """Children on a node that failed and must not act any more: an unfinished Job, a reboot pod still waiting."""
    if record.outcome is not Outcome.FAILED:
        return []
    found: list[Action] = []
    job = snapshot.jobs.get(name)
    own = snapshot.op.meta.uid
    if job and not (job.complete or job.failed or job.deleting) and job.owner and job.owner.uid == own:
        found.append(Delete(JOBS, job.name, job.uid, name))
    pod = snapshot.pods.get(ChildKey(Role.REBOOT, name))
    if pod and not pod.deleting_since and not pod.succeeded and pod.owner and pod.owner.uid == own:
        found.append(Delete(PODS, pod.name, pod.uid, name))
    return found


def _farewell(site: Site, message: str) -> str:
    node = site.node
    if node is None or not node.unschedulable or not site.spec.cordon:
        return message
    if node.cordoned_by == site.claim:
        return f"{message} (the node stays cordoned; kubectl uncordon {site.name} once it is good)"
    if Claim.parse(node.cordoned_by):
        return f"{message} (the node stays cordoned by {_whose(node)}; kubectl uncordon {site.name} once it is good)"
    return f"{message} (the node stays cordoned, which was not this NodeOp's doing)"


def _whose(node: NodeView) -> str:
    """Who set a cordon that is not this operation's: often the one before, which failed on the node and kept it."""
    holder = Claim.parse(node.cordoned_by)
    return f"NodeOp {holder.operation}" if holder else "somebody else"


def _released_notes(site: Site) -> tuple[Note, ...]:
    if site.record.outcome is Outcome.FAILED:
        return ()
    return (site.note("NodeCompleted", f"{site.name}: {site.record.message}"),)
