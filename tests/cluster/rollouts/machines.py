"""What the machines know themselves of what ran on them and when they rebooted, against what the operator says."""

from __future__ import annotations

from collections.abc import Iterator

from kairos_operator.api.names import Role, child_name
from kairos_operator.api.resources import NODE_OPS
from tests.cluster.rollouts.evidence import Evidence, nodes_of
from tests.cluster.rollouts.recorder import Obj
from tests.sandbox.fleet import Journal, Record

_POD_BASE = 58  # characters of a Job's name that its pods carry (apimachinery's maxGeneratedNameLength)


def too_many_at_work(evidence: Evidence, op: Obj, limit: int) -> Iterator[str]:
    """By the machines' own account: a node works from its first container's start to the end of its last, or of
    its reboot."""
    spans = []
    for node in nodes_of(op):
        times = [record.time for record in work_on(evidence.journal, op, node)]
        if times:
            spans.append((min(times), max(times), node))
    for begin, _, node in spans:
        others = [name for first, last, name in spans if first <= begin < last and name != node]
        if len(others) + 1 > limit:
            yield f"{op['metadata']['name']}: {node} began to work while {others} did; {limit} allowed"


def not_done(evidence: Evidence) -> Iterator[str]:
    """Completed nodes that did not do the work, and nodes that did it twice."""
    for sightings in evidence.recorder.versions(NODE_OPS).values():
        op = sightings[-1].obj
        for name, node in nodes_of(op).items():
            starts, ends = _commands(evidence.journal, op, name)
            good = [record for record in ends if record.exit_code == 0]
            skipped = node["message"].startswith("Skipped") if node["phase"] == "Completed" else False
            label = f"{op['metadata']['name']} on {name}"
            if skipped and (starts or _reboots(evidence, op, name)):
                yield f"{label}: skipped, and yet it worked"
            if node["phase"] == "Completed" and not skipped:
                if len(good) != 1:
                    yield f"{label}: Completed, and the command succeeded {len(good)} times"
                if op["spec"].get("rebootOnSuccess") and not _rebooted_after(evidence, name, good):
                    yield f"{label}: Completed, and the node did not reboot after the command"
            if good and starts[-1].time > good[0].time:
                yield f"{label}: the command was started again after it had succeeded"
            if not op["spec"].get("backoffLimit", 6) and len(starts) > 1:
                yield f"{label}: the command was started {len(starts)} times, without any second try allowed"


def unjustified_reboots(evidence: Evidence) -> Iterator[str]:
    by_node: dict[str, list[Record]] = {}
    for record in evidence.journal:
        by_node.setdefault(record.node, []).append(record)
    for node, records in by_node.items():
        successes = sum(
            record.event == "end" and record.container == "sentinel-creator" and record.exit_code == 0
            for record in records
        )
        reboots = sum(record.event == "reboot" for record in records) - evidence.rebooted_by_fate[node]
        if reboots > successes:
            yield f"{node}: {reboots} reboots, and {successes} successful Jobs that asked for one"


def work_on(journal: Journal, op: Obj, node: str) -> list[Record]:
    """What a node did for an operation: its containers but the reboot pod's, and the reboots after the command."""
    prefixes = tuple(_pod_prefix(op, node, role) for role in Role if role is not Role.REBOOT)
    found: list[Record] = []
    for record in journal.of(node):
        is_work = record.event in ("start", "end") and record.pod.startswith(prefixes)
        is_reboot = record.event in ("reboot", "boot", "ready") and op["spec"].get("rebootOnSuccess")
        if is_work or (is_reboot and found):
            found.append(record)
    return found


def _commands(journal: Journal, op: Obj, node: str) -> tuple[list[Record], list[Record]]:
    """The starts and the ends of the operation's command on a node."""
    prefix, space = _pod_prefix(op, node, Role.JOB), op["metadata"]["namespace"]
    mine = [
        record
        for record in journal.of(node, "start", "end")
        if record.container == "nodeop" and record.namespace == space and record.pod.startswith(prefix)
    ]
    return [one for one in mine if one.event == "start"], [one for one in mine if one.event == "end"]


def _pod_prefix(op: Obj, node: str, role: Role) -> str:
    metadata = op["metadata"]
    name = child_name(metadata["name"], metadata["uid"], node, role)
    return f"{name}-"[:_POD_BASE] if role is Role.JOB else name


def _reboots(evidence: Evidence, op: Obj, node: str) -> int:
    if not op["spec"].get("rebootOnSuccess"):
        return 0
    return len(evidence.journal.of(node, "reboot")) - evidence.rebooted_by_fate[node]


def _rebooted_after(evidence: Evidence, node: str, done: list[Record]) -> bool:
    boots = evidence.journal.of(node, "boot")
    return bool(done) and any(boot.time >= done[0].time for boot in boots)
