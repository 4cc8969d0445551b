"""What must hold in every scenario, judged from what the recorder saw and what the machines know themselves.

Each judge returns its faults as sentences; an empty list is a good end. The fleet's journal is the ground truth of
what ran and what rebooted: nothing that the operator says is taken on trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from kairos_operator.api.names import ANNOTATION_CLAIMED_BY, ANNOTATION_CORDONED_BY
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES
from tests.cluster.rollouts import machines
from tests.cluster.rollouts.evidence import (
    Evidence,
    annotation,
    claim_of,
    is_cordoned,
    nodes_of,
    phase,
    status,
    timeless,
)
from tests.cluster.rollouts.recorder import Sighting

_ORDER = {"Pending": 0, "Preflight": 1, "Running": 2, "Completed": 3, "Failed": 3}
_FINAL = ("Completed", "Failed")


def faults(evidence: Evidence) -> list[str]:
    """Everything that must never happen and did."""
    return [fault for judge in _JUDGES for fault in judge(evidence)]


def _operations(evidence: Evidence) -> Iterator[list[Sighting]]:
    for resource in (NODE_OPS, NODE_OP_UPGRADES):
        yield from evidence.recorder.versions(resource).values()


def _too_many_in_flight(evidence: Evidence) -> Iterator[str]:
    for sightings in evidence.recorder.versions(NODE_OPS).values():
        limit = sightings[-1].obj["spec"].get("concurrency") or 10**6
        for one in sightings:
            flying = [
                name for name, node in nodes_of(one.obj).items() if node["phase"] in ("Preflight", "Running")
            ]
            if len(flying) > limit:
                yield f"{one.path}: {len(flying)} nodes in flight by its status, {limit} allowed: {flying}"
        yield from machines.too_many_at_work(evidence, sightings[-1].obj, limit)


def _backwards(evidence: Evidence) -> Iterator[str]:
    for sightings in _operations(evidence):
        for old, new in pairwise(sightings):
            before, after = phase(old.obj), phase(new.obj)
            if before in _FINAL and status(old.obj) != status(new.obj):
                yield f"{new.path}: a finished operation's status changed"
            elif _ORDER[after] < _ORDER[before]:
                yield f"{new.path}: went from {before} to {after}"
            yield from _nodes_backwards(old, new)


def _nodes_backwards(old: Sighting, new: Sighting) -> Iterator[str]:
    before, after = nodes_of(old.obj), nodes_of(new.obj)
    if before and set(before) != set(after):
        yield f"{new.path}: its nodes changed from {sorted(before)} to {sorted(after)}"
        return
    for name, node in before.items():
        if node["phase"] in _FINAL and node != after[name]:
            yield f"{new.path}: finished node {name} changed from {node} to {after[name]}"
        elif _ORDER[after[name]["phase"]] < _ORDER[node["phase"]]:
            yield f"{new.path}: node {name} went from {node['phase']} to {after[name]['phase']}"


def _done_too_early(evidence: Evidence) -> Iterator[str]:
    for sightings in _operations(evidence):
        for one in sightings:
            phases = {node["phase"] for node in nodes_of(one.obj).values()}
            if phase(one.obj) == "Completed" and phases - {"Completed"}:
                yield f"{one.path}: Completed, with nodes {phases}"
            if phase(one.obj) == "Failed" and phases & {"Preflight", "Running"}:
                yield f"{one.path}: Failed, with nodes {phases}"


def _needless_writes(evidence: Evidence) -> Iterator[str]:
    for sightings in _operations(evidence):
        for old, new in pairwise(sightings):
            if status(old.obj) != status(new.obj) and timeless(old.obj) == timeless(new.obj):
                yield f"{new.path}: a status write that changed nothing but times"


def _two_jobs(evidence: Evidence) -> Iterator[str]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for uid, sightings in evidence.recorder.versions(JOBS).items():
        one = sightings[0]
        owner = one.obj["metadata"]["ownerReferences"][0]["uid"]
        labels = one.obj["metadata"]["labels"]
        found.setdefault((one.path[0], owner, labels["kairos.io/node"]), set()).add(uid)
    yield from (
        f"two Jobs of one operation on one node: {key}" for key, uids in found.items() if len(uids) > 1
    )


def _cordons(evidence: Evidence) -> Iterator[str]:
    """Foreign cordons that were lifted, and own ones that were left."""
    for sightings in evidence.recorder.versions(NODES).values():
        lifted = 0
        for old, new in pairwise(sightings):
            owner = annotation(old.obj, ANNOTATION_CORDONED_BY)
            was, now = is_cordoned(old.obj), is_cordoned(new.obj)
            if was and not now and owner not in _claims(evidence):
                lifted += 1
        if lifted > evidence.uncordoned_by_person[sightings[0].path[1]]:
            yield f"{sightings[0].path[1]}: a cordon of somebody else was lifted"
    yield from _left_behind(evidence)


def _left_behind(evidence: Evidence) -> Iterator[str]:
    ops = {
        claim_of(sightings[-1].obj): sightings[-1]
        for sightings in evidence.recorder.versions(NODE_OPS).values()
    }
    for (_, name), node in evidence.recorder.latest[NODES].items():
        for mark in (ANNOTATION_CORDONED_BY, ANNOTATION_CLAIMED_BY):
            found = ops.get(annotation(node, mark))
            if found is None:
                continue
            record = nodes_of(found.obj).get(name, {"phase": "Pending"})
            kept = mark == ANNOTATION_CORDONED_BY and record["phase"] == "Failed" and not found.gone
            if not kept and (found.gone or record["phase"] in _FINAL):
                yield f"{name}: {mark} of {found.path} was left behind"


def _mirrored(evidence: Evidence) -> Iterator[str]:
    """An upgrade says what its NodeOp says."""
    ops = evidence.recorder.latest[NODE_OPS]
    for path, upgrade in evidence.recorder.latest[NODE_OP_UPGRADES].items():
        op = ops.get(path)
        owners = op["metadata"].get("ownerReferences") or [{}] if op else [{}]
        if op is None or owners[0].get("uid") != upgrade["metadata"]["uid"] or phase(op) not in _FINAL:
            continue
        for part in ("phase", "message", "nodeStatuses", "summary"):
            if status(upgrade).get(part) != status(op).get(part):
                yield f"{path}: the upgrade's {part} is not its NodeOp's"


def _claims(evidence: Evidence) -> set[str]:
    return {claim_of(sightings[0].obj) for sightings in evidence.recorder.versions(NODE_OPS).values()}


_JUDGES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _too_many_in_flight,
    _backwards,
    _done_too_early,
    _needless_writes,
    machines.not_done,
    _two_jobs,
    machines.unjustified_reboots,
    _cordons,
    _mirrored,
)
