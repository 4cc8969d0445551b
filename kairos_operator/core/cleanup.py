"""Taking away what an operation no longer needs: while it runs, once it is finished, and before it is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from kairos_operator.api.names import FINALIZER, Role
from kairos_operator.api.resources import PODS
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Outcome, Step
from kairos_operator.core.actions import Action, CheckPod, Delete, DeleteChecks, Note, Plan, SetFinalizer
from kairos_operator.core.claims import giving_back, leftovers
from kairos_operator.core.reboot import worked
from kairos_operator.core.site import seconds
from kairos_operator.core.snapshot import Snapshot

DELETION_PATIENCE_SECONDS = 300  # after which a deletion no longer waits for nodes that cannot be written

CHECKS_AT_ONCE = (
    50  # nodes in one request: their labels may have 63 characters each, and a URL some thousands
)
COMPANY_SECONDS = 3.0  # from a node's next step on, for which its check pod waits for others that can go

_LAST_STEP = {Role.PREFLIGHT: (Step.WAITING, Step.PREFLIGHT), Role.POSTFLIGHT: (Step.POSTFLIGHT,)}


def running(snapshot: Snapshot, records: Mapping[str, NodeStatus]) -> Plan[NodeOpStatus]:
    """What to take away while the operation runs, given the records that are stored with this plan."""
    found, waiting = list(_of_done_nodes(snapshot)), False
    for role in _LAST_STEP:
        due = tuple(islice(_due(snapshot, records, role), CHECKS_AT_ONCE))
        if _worth_a_request(snapshot, records, due):
            found.append(_together(role, due))
        waiting = waiting or bool(due)
    return Plan(chains=tuple(found), recheck_after=COMPANY_SECONDS if waiting else None)


def _together(role: Role, due: tuple[CheckPod, ...]) -> tuple[Action, ...]:
    if len(due) > 1:
        return (DeleteChecks(role, due),)
    return tuple(Delete(PODS, name, uid, node) for node, name, uid in due)


def _worth_a_request(
    snapshot: Snapshot, records: Mapping[str, NodeStatus], due: tuple[CheckPod, ...]
) -> bool:
    """Whether half as many check pods can go as nodes are in flight, or one has waited for such company."""
    in_flight = sum(record.in_flight for record in records.values())
    if len(due) >= min(max(in_flight // 2, 1), CHECKS_AT_ONCE):
        return True
    since = [records[node].step_started_at for node, _, _ in due]
    return any(at is None or (snapshot.now - at).total_seconds() >= COMPANY_SECONDS for at in since)


def _due(snapshot: Snapshot, records: Mapping[str, NodeStatus], role: Role) -> Iterator[CheckPod]:
    stored = snapshot.op.status.nodes
    for key, pod in snapshot.pods.items():
        before, after = stored.get(key.node), records.get(key.node)
        if key.role is not role or before is None or after is None or pod.deleting_since:
            continue
        needed = before.step in _LAST_STEP[role] and after.step in _LAST_STEP[role]
        if not needed and pod.owner and pod.owner.uid == snapshot.op.meta.uid:
            yield key.node, pod.name, pod.uid


def finished(snapshot: Snapshot) -> Plan[NodeOpStatus]:
    """A finished operation only clears up; nothing starts it again."""
    op = snapshot.op
    found = list(running(snapshot, op.status.nodes).chains)
    cordons = any(record.keep_cordon for record in op.status.nodes.values())
    if FINALIZER in op.meta.finalizers and not cordons:
        found.append((SetFinalizer(present=False),))
    return Plan(chains=tuple(found))


def _of_done_nodes(snapshot: Snapshot) -> Iterator[tuple[Action, ...]]:
    for name, record in snapshot.op.status.nodes.items():
        if record.step is Step.DONE:
            yield from ((action,) for action in _of_done_node(snapshot, name, record))


def _of_done_node(snapshot: Snapshot, name: str, record: NodeStatus) -> Iterator[Action]:
    """What a node that is done has of the operation all the same: a write that came late, a cordon that was kept and
    that somebody has lifted since.
    """
    yield from leftovers(snapshot, name, record)
    release = giving_back(snapshot, snapshot.nodes.get(name), keep_cordon=bool(record.keep_cordon))
    if release is not None:
        yield release


def deletion(snapshot: Snapshot) -> Plan[NodeOpStatus]:
    """Before the operation goes: end what it runs, lift its cordons; but never hold the deletion up for ever."""
    op = snapshot.op
    if FINALIZER not in op.meta.finalizers:
        return Plan()
    found: list[tuple[Action, ...]] = []
    unsure = False
    for name, record in op.status.nodes.items():
        if name in snapshot.busy:
            unsure = True  # what is under way may take the node, or make a child
            continue
        ending = record.model_copy(update={"outcome": Outcome.FAILED})
        # On its way down or up, it is left to come back.
        left_alone = record.step is Step.REBOOT or worked(snapshot, name, record)
        ends = leftovers(snapshot, name, ending) if record.in_flight and not left_alone else []
        release = giving_back(snapshot, snapshot.nodes.get(name), keep_cordon=False)
        chain = (*ends, *([release] if release else []))
        if chain:
            found.append(chain)
        unsure = unsure or (record.in_flight and _unconfirmed(snapshot, name, record))
    assert op.meta.deleting_since is not None
    # The API server's time and ours may differ, so no more counts than what was really tried.
    waited = min((snapshot.now - op.meta.deleting_since).total_seconds(), snapshot.deleting_for)
    if not found and not unsure:
        return Plan(chains=((SetFinalizer(present=False),),))
    if waited >= DELETION_PATIENCE_SECONDS:
        why = next(iter(snapshot.refusals.values()), "the nodes could not be read")
        text = f"Gave up lifting this operation's cordons after {seconds(waited)}: {why}"
        return Plan(
            chains=((SetFinalizer(present=False),),), notes=(Note("CleanupAbandoned", text, type="Warning"),)
        )
    recheck = 0.0 if unsure and not found and not snapshot.busy else 5.0
    return Plan(chains=tuple(found), recheck_after=min(recheck, DELETION_PATIENCE_SECONDS - waited))


def _unconfirmed(snapshot: Snapshot, name: str, record: NodeStatus) -> bool:
    """Whether a claim of ours could stand on the node without the cache showing it."""
    held = snapshot.op.spec.disrupts and record.step not in (Step.WAITING, Step.PREFLIGHT)
    return held and name in snapshot.nodes and name not in snapshot.released
