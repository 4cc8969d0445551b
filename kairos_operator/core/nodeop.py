"""What to do about a NodeOp now: one pure function from what is known to a plan.

Planning again after a plan was carried out yields nothing, until a fact or the time changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kairos_operator.api.conditions import ConditionType
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Outcome, Phase, RebootStatus, Step
from kairos_operator.core import checks, claims, cleanup, drain, folding, reboot, work
from kairos_operator.core import status as statuses
from kairos_operator.core.actions import Action, Doubts, Note, Plan, SetFinalizer
from kairos_operator.core.phases import entered
from kairos_operator.core.rollout import STARTED_AT_ONCE, in_order, next_in_line, stopped
from kairos_operator.core.site import Decision, Go, Site, Stay, bounded, failed, first_step, seconds
from kairos_operator.core.snapshot import Snapshot, lacks_finalizer, unresolved

_DECISIONS: Mapping[Step, Callable[[Site], Decision]] = {
    Step.PREFLIGHT: checks.preflight,
    Step.CLAIM: claims.claim,
    Step.DRAIN: drain.drain,
    Step.JOB: work.work,
    Step.REBOOT: reboot.reboot,
    Step.POSTFLIGHT: checks.postflight,
    Step.RELEASE: claims.release,
}


class _Draft:
    """A plan in the making: the records as they will be stored, and what goes with them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.records: dict[str, NodeStatus] = dict(snapshot.op.status.nodes)
        self.chains: list[tuple[Action, ...]] = []
        self.notes: list[Note] = []
        self.rechecks: list[float] = []
        self.blocked: list[str] = []
        self.behind: set[str] = set()
        self.overdue: set[str] = set()
        self.message_limit = folding.message_limit(len(self.records))

    def store(self, name: str, record: NodeStatus) -> None:
        """Keep `record` as the node's, with the time if it says something new."""
        if record.message and len(record.message) > self.message_limit:
            record = record.model_copy(update={"message": bounded(record.message, self.message_limit)})
        old = self.snapshot.op.status.nodes.get(name, NodeStatus())
        self.records[name] = statuses.stamped(old, record, self.snapshot.now)

    def doubt(self, names: Sequence[str], doubts: set[str], sure: frozenset[str] | None) -> bool:
        """Whether one of these nodes is not among the sure ones (None: all are). Then they are read live first."""
        if sure is None or sure.issuperset(names):
            return False
        doubts.update(names[: STARTED_AT_ONCE - len(doubts)])
        self.rechecks.append(0.0)
        return True


def plan(snapshot: Snapshot) -> Plan[NodeOpStatus]:
    """The plan for one NodeOp."""
    op = snapshot.op
    if op.meta.deleting_since is not None:
        return cleanup.deletion(snapshot)
    if op.status.phase is not None and op.status.phase.final:
        return cleanup.finished(snapshot)
    if lacks_finalizer(op):
        return Plan(chains=((SetFinalizer(present=True),),))
    if unresolved(op) and snapshot.listed is None:
        return Plan(
            recheck_after=0.0
        )  # never from the cache: who is missing there would be passed over for good
    draft = _Draft(snapshot)
    if unresolved(op):
        _resolve(draft)
    for name, record in list(draft.records.items()):
        if record.in_flight and name not in snapshot.busy:
            _advance(draft, name, record)
    _start(draft)
    clearing = cleanup.running(snapshot, draft.records)
    draft.chains.extend(clearing.chains)
    if clearing.recheck_after is not None:
        draft.rechecks.append(clearing.recheck_after)
    return _finish(draft)


def _resolve(draft: _Draft) -> None:
    """The targets, once and for all: every node that is there and that the selector matches now."""
    op, nodes = draft.snapshot.op, draft.snapshot.nodes
    selector, listed = op.spec.node_selector, draft.snapshot.listed or frozenset()
    there = (node for name, node in nodes.items() if name in listed)
    names = [node.name for node in there if selector is None or selector.matches(node.labels)]
    waiting = NodeStatus(reboot_status=RebootStatus.NOT_REQUESTED)
    waiting = statuses.stamped(NodeStatus(), waiting, draft.snapshot.now)
    # One value for all of them: of thousands of copies the process would keep the memory.
    draft.records.update({name: waiting for name in in_order(names, nodes) if name not in draft.records})
    if names:
        draft.notes.append(Note("Started", f"Started on {len(names)} node{'s' * (len(names) > 1)}"))
    else:
        draft.notes.append(Note("NothingSelected", statuses.EMPTY_SELECTION, type="Warning"))


def _start(draft: _Draft) -> None:
    """Give free slots to the next in line. A node that is gone takes none, so there may be another round."""
    snapshot = draft.snapshot
    while batch := next_in_line(snapshot.op, snapshot.nodes, draft.records):
        freed = False
        if draft.doubt([name for name in batch if name in snapshot.nodes], draft.behind, snapshot.recent):
            return
        for name in batch:
            node, record = snapshot.nodes.get(name), draft.records[name]
            if node is None and name not in snapshot.gone:
                draft.rechecks.append(0.0)  # not in the cache: it is read live before anything is concluded
                return
            if node is None:
                _enter(draft, name, record, _gone_before_its_turn(name))
                freed = True
                continue
            learned = {"started_at": snapshot.now, "node_uid": node.uid, "boot_id": node.boot_id}
            site = Site(snapshot, name, record)
            text = f"Started on {name}"
            first = Go(first_step(site), text, (site.note("NodeStarted", text),), learned)
            _advance(draft, name, _enter(draft, name, record, first))
            freed = freed or draft.records[name].step is Step.DONE
        if len(batch) == STARTED_AT_ONCE:
            draft.rechecks.append(0.0)
            return
        if not freed:
            return


def _gone_before_its_turn(name: str) -> Go:
    text = "Skipped: node no longer exists"
    return Go(Step.DONE, text, (Note("Skipped", f"{name}: {text}"),), {"outcome": Outcome.SKIPPED})


def _enter(draft: _Draft, name: str, record: NodeStatus, go: Go) -> NodeStatus:
    learned = {**go.learned, "message": go.message}
    if go.step is Step.JOB and draft.snapshot.op.spec.reboot_on_success:
        learned["reboot_status"] = RebootStatus.PENDING
        node = draft.snapshot.nodes.get(name)
        if node is not None and node.boot_id:
            learned["boot_id"] = node.boot_id  # it may have waited for long, and have rebooted meanwhile
    new = entered(record, go.step, draft.snapshot.now, learned)
    draft.store(name, new)
    draft.notes.extend(go.notes)
    return draft.records[name]


def _advance(draft: _Draft, name: str, record: NodeStatus) -> None:
    """Take a node in flight as far as the facts carry it, and note what to do where it stays."""
    while record.in_flight:
        site = Site(draft.snapshot, name, record)
        decision = _lost_node(site) or _DECISIONS[record.step](site)
        if isinstance(decision, Stay):
            learned = {**decision.learned, "message": bounded(decision.message)}
            draft.store(name, record.model_copy(update=learned))
            draft.chains.extend(decision.chains)
            draft.notes.extend(decision.notes)
            draft.blocked.extend(drain.blockers(site))
            if decision.recheck is not None:
                draft.rechecks.append(decision.recheck)
            return
        if _unsure(draft, name, decision):
            return
        record = _enter(draft, name, record, decision)


def _unsure(draft: _Draft, name: str, decision: Go) -> bool:
    """Whether the node must be read live before it is given up, gets something begun on it, or counts as done."""
    snapshot = draft.snapshot
    if name in snapshot.gone:
        return False
    if decision.by_time:
        return draft.doubt([name], draft.overdue, snapshot.asked)
    return decision.concludes and draft.doubt([name], draft.behind, snapshot.recent)


def _lost_node(site: Site) -> Decision | None:
    """A node in flight that was deleted, or is another one now, has failed."""
    record, node = site.record, site.node
    if record.step is Step.RELEASE:
        return None
    if node is None and site.name not in site.snapshot.gone:
        return Stay(record.message or "", recheck=0.0)  # it is read live before it counts as gone
    if node is None:
        text = f"The node was deleted during its {record.step} step"
        return failed(site, "NodeDeleted", text)
    if record.node_uid and node.uid != record.node_uid:
        text = f"The node was deleted and registered anew during its {record.step} step"
        return failed(site, "NodeReplaced", text)
    return None


def _finish(draft: _Draft) -> Plan[NodeOpStatus]:
    snapshot, op = draft.snapshot, draft.snapshot.op
    records = folding.fitted(op.status.nodes, draft.records)
    counts = statuses.summary(records)
    phase = statuses.phase(counts, stopped=stopped(op, records))
    message = statuses.sentence(counts, phase, records, paused=op.meta.paused)
    changes = {
        "phase": phase,
        "message": message,
        "node_statuses": records,
        "summary": counts,
        "started_at": op.status.started_at or snapshot.now,
    }
    new = statuses.settled(op.meta, op.status, snapshot.now, _blocked(draft), changes)
    if phase.final:
        draft.notes.append(_ending(snapshot, phase, message))
    return Plan(
        status=new,
        urgent=new is not None and statuses.urgent(op.status, new),
        chains=tuple(draft.chains),
        notes=tuple(draft.notes),
        recheck_after=min(draft.rechecks, default=None),
        doubts=Doubts(frozenset(draft.behind), frozenset(draft.overdue)),
    )


def _blocked(draft: _Draft) -> list[str]:
    """What holds up drains; as it was said last while one of them has calls under way, so that it does not flicker."""
    snapshot, status = draft.snapshot, draft.snapshot.op.status
    if any(draft.records[name].step is Step.DRAIN for name in snapshot.busy if name in draft.records):
        told = [one for one in status.conditions or () if one.type == ConditionType.DRAIN_BLOCKED]
        return [one.message for one in told if one.status == "True"] or draft.blocked
    return draft.blocked


def _ending(snapshot: Snapshot, phase: Phase, message: str) -> Note:
    began = snapshot.op.status.started_at or snapshot.now
    took = seconds((snapshot.now - began).total_seconds())
    if phase is Phase.COMPLETED:
        return Note("Completed", f"{message}, in {took}")
    return Note("Failed", f"{message}, after {took}", type="Warning")
