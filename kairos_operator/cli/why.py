"""`why`: the one thing that stands in an operation's way, and what to do about it. Pure.

The questions are asked in the order in which an answer makes the later ones pointless: an operation that has ended
waits for nothing, one whose operator is away waits for nothing else. The first that has an answer is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kairos_operator.api.names import ANNOTATION_PAUSED
from kairos_operator.api.status import NodeStatus, Outcome, Phase, Step
from kairos_operator.cli import obstacles
from kairos_operator.cli.durations import number_of, short
from kairos_operator.cli.exits import Exit
from kairos_operator.cli.finding import Facts, Finding
from kairos_operator.cli.operations import Operation
from kairos_operator.core.site import seconds
from kairos_operator.settings import LEASE_NAME

LEASE_GRACE = 4  # lease durations without a renewal, after which nobody is taken to hold it
OPERATOR_AWAY = "OperatorAway"
PATIENCE_SECONDS = 60.0  # a start that takes longer is worth a word


def why(facts: Facts) -> Finding:
    """The one thing in the way; where there is none, what is going on."""
    for question in _QUESTIONS:
        finding = next(iter(question(facts)), None)
        if finding is not None:
            return finding
    return _going_on(facts)


def _ended(facts: Facts) -> Iterator[Finding]:
    operation = facts.operation
    status = operation.status
    if status.phase is Phase.COMPLETED:
        yield Finding("Completed", f"Nothing: {status.message or 'it completed'}", code=Exit.DONE)
    elif status.phase is Phase.FAILED:
        yield _failure(operation)


def _failure(operation: Operation) -> Finding:
    status, name = operation.status, operation.meta.name
    bad = {node: one for node, one in status.nodes.items() if one.outcome is Outcome.FAILED}
    if not bad:
        return Finding("Failed", f"It failed: {status.message or 'no reason was given'}", code=Exit.FAILED)
    first = min(bad, key=lambda node: (_ended_at(bad[node]), node))
    others = f", and on {number_of('node', len(bad) - 1)} more" if len(bad) > 1 else ""
    untouched = sum(one.step is Step.WAITING for one in status.nodes.values())
    stopped = f"; because of stopOnFailure, {number_of('node', untouched)} not started" if untouched else ""
    return Finding(
        "NodeFailed",
        f"It failed on {first}: {bad[first].message or 'no reason was given'}{others}{stopped}",
        f"look at `kubectl kairos logs {name} {first}`; once that is put right, `kubectl kairos retry {name}`",
        first,
        Exit.FAILED,
    )


def _ended_at(record: NodeStatus) -> float:
    return record.step_started_at.timestamp() if record.step_started_at else 0.0


def _operator_away(facts: Facts) -> Iterator[Finding]:
    leases = [lease for lease in facts.leases if not lease.unseen]
    if not leases:
        updated = facts.operation.status.last_updated
        silent = updated is None or (facts.now - updated).total_seconds() > PATIENCE_SECONDS
        if not facts.leases and silent:
            text = (
                f"No operator seems to run in this cluster: there is no Lease {LEASE_NAME} in any namespace"
            )
            yield Finding("NoOperator", text, "install the operator, or start it")
        return
    latest = max(leases, key=lambda lease: lease.renewed_at.timestamp() if lease.renewed_at else 0.0)
    age = (facts.now - latest.renewed_at).total_seconds() if latest.renewed_at else None
    look = f"look at `kubectl -n {latest.namespace} get pods` and the operator's log"
    if not latest.holder or age is None:
        yield Finding("NoLeader", "No operator is at work: nobody holds its Lease", look)
    elif age > max(PATIENCE_SECONDS, LEASE_GRACE * latest.duration_seconds):
        told = f"its Lease (held by {latest.holder}) was last renewed {seconds(age)} ago"
        yield Finding(OPERATOR_AWAY, f"The operator is not running: {told}", look)


def _deleting(facts: Facts) -> Iterator[Finding]:
    since = facts.operation.meta.deleting_since
    if since is not None:
        took = seconds((facts.now - since).total_seconds())
        yield Finding("Deleting", f"It is being deleted since {took} ago; its cordons are lifted first")


def _paused(facts: Facts) -> Iterator[Finding]:
    held = next(
        (one for one in (facts.operation, facts.carrier) if one is not None and one.meta.paused), None
    )
    if held is not None:
        kind, meta = held.resource.kind.lower(), held.meta
        flying = (
            f"; what is in flight goes on ({number_of('node', len(facts.flying))})" if facts.flying else ""
        )
        yield Finding(
            "Paused",
            f"{held.label} is paused, so no further node is started{flying}",
            f"kubectl -n {meta.namespace} annotate {kind} {meta.name} {ANNOTATION_PAUSED}-",
        )


def _draining_to_failure(facts: Facts) -> Iterator[Finding]:
    """A failure with stopOnFailure while others are still in flight."""
    operation = facts.operation
    bad = sorted(name for name, one in operation.status.nodes.items() if one.outcome is Outcome.FAILED)
    if operation.spec.stop_on_failure and bad:
        message = operation.status.nodes[bad[0]].message or ""
        yield Finding(
            "Stopping",
            f"{bad[0]} failed, and with stopOnFailure no further node is started: {message}".rstrip(": "),
            f"once the nodes in flight have ended: kubectl kairos retry {operation.meta.name}",
            bad[0],
        )


def _not_started(facts: Facts) -> Iterator[Finding]:
    operation = facts.operation
    if operation.status.nodes:
        return
    made = operation.meta.created_at
    age = (facts.now - made).total_seconds() if made else 0.0
    if age > PATIENCE_SECONDS:
        unseen = next((f" ({lease.unseen})" for lease in facts.leases if lease.unseen), "")
        yield Finding(
            "NotStarted",
            f"It was created {seconds(age)} ago and no operator has started it{unseen}",
            "look at the operator's log; it may be failing on this object",
        )


_QUESTIONS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _ended,
    _operator_away,
    _deleting,
    obstacles.blocked_drain,
    obstacles.stuck_pod,
    obstacles.held_node,
    obstacles.node_away,
    obstacles.retried_job,
    _draining_to_failure,
    _paused,
    _not_started,
)


def _going_on(facts: Facts) -> Finding:
    status = facts.operation.status
    if not facts.flying:
        return Finding(
            "Starting", f"Nothing that shows: {status.message or 'the operator is about to start it'}"
        )
    name, record = facts.flying[0]
    since = short((facts.now - record.step_started_at).total_seconds()) if record.step_started_at else "?"
    text = f"Nothing: it is moving; {name} is in step {record.step} for {since}"
    return Finding("Moving", f"{text}: {record.message}" if record.message else text, node=name)
