"""A finished operation stays finished, whatever the facts become."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kairos_operator.api.cluster import JobView, NodeView, PodView
from kairos_operator.api.names import FINALIZER, Role
from kairos_operator.api.objects import NodeOp, Owner
from kairos_operator.api.status import NodeOpUpgradeStatus, NodeStatus, Outcome, Phase, Step
from kairos_operator.core import upgrade as upgrades
from kairos_operator.core.actions import Delete, DeleteChecks, ReleaseNode, SetFinalizer
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, Mark, Snapshot, Standing
from kairos_operator.core.upgrade import UpgradeSnapshot
from tests.core.world import UID, at, job, node, op, pod, record, role_pod, snapshot, upgrade

NAMES = ["n1", "n2", "n3"]
FLAGS = st.booleans()
OTHER = "ops/firmware@uid"
CLAIMS = st.sampled_from(["", f"default/op@{UID}", OTHER, "garbage"])
OWNERS = st.sampled_from([Owner("NodeOp", "op", UID), Owner("NodeOp", "op", "other"), None])
ENDS = st.sampled_from(
    [
        record(Step.DONE, Outcome.COMPLETED),
        record(Step.DONE, Outcome.SKIPPED),
        record(Step.DONE, Outcome.FAILED),
        record(Step.DONE, Outcome.FAILED, keep_cordon=True),
        record(Step.WAITING),
    ]
)


@st.composite
def _nodes(draw: st.DrawFn) -> dict[str, NodeView]:
    found = {}
    for name in draw(st.sets(st.sampled_from([*NAMES, "new"]))):
        found[name] = node(
            name,
            uid=draw(st.sampled_from([f"uid-of-{name}", "another"])),
            boot_id=draw(st.sampled_from(["1", "2", ""])),
            ready=draw(FLAGS),
            unschedulable=draw(FLAGS),
            cordoned_by=draw(CLAIMS),
            claimed_by=draw(CLAIMS),
        )
    return found


@st.composite
def _spec(draw: st.DrawFn) -> dict[str, Any]:
    cordon = draw(FLAGS)
    check = st.sampled_from([None, {"command": ["check"]}])
    return {
        "cordon": cordon,
        "drain_options": {"enabled": cordon and draw(FLAGS)},
        "reboot_on_success": draw(FLAGS),
        "uncordon_on_failure": draw(FLAGS),
        "preflight": draw(check),
        "postflight": draw(check),
        "concurrency": draw(st.integers(0, 3)),
    }


@st.composite
def _facts(draw: st.DrawFn, of: NodeOp) -> Snapshot:
    jobs: dict[str, JobView] = {}
    pods: dict[ChildKey, PodView] = {}
    for name in NAMES:
        if draw(FLAGS):
            jobs[name] = job(of, name, complete=draw(FLAGS), failed=draw(FLAGS), owner=draw(OWNERS))
        for role in (Role.PREFLIGHT, Role.POSTFLIGHT, Role.REBOOT):
            if draw(FLAGS):
                facts = {"phase": draw(st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]))}
                state = draw(st.sampled_from(["", "completed", "failed: x"]))
                pods[ChildKey(role, name)] = role_pod(
                    of, role, name, owner=draw(OWNERS), reboot_state=state, **facts
                )
    return snapshot(
        of,
        *draw(_nodes()).values(),
        seconds=draw(st.integers(0, 10**6)),
        gone=frozenset(draw(st.sets(st.sampled_from(NAMES)))),
        jobs=jobs,
        pods=pods,
        node_pods={name: (pod(),) for name in NAMES},
        standings={Mark(OTHER, name): draw(st.sampled_from(Standing)) for name in NAMES},
        released=frozenset(draw(st.sets(st.sampled_from(NAMES)))),
    )


@st.composite
def _finished(draw: st.DrawFn) -> Snapshot:
    records: dict[str, NodeStatus] = {name: draw(ENDS) for name in NAMES}
    phase = draw(st.sampled_from([Phase.COMPLETED, Phase.FAILED]))
    meta = {"paused": draw(FLAGS), "finalizers": draw(st.sampled_from([(), (FINALIZER,)]))}
    meta["deleting_since"] = draw(st.sampled_from([None, at(0)]))
    return draw(_facts(op(records=records, phase=phase, meta=meta, **draw(_spec()))))


@given(_finished())
def test_a_finished_operation_never_starts_again(facts: Snapshot) -> None:
    made = plan(facts)
    assert made.status is None
    actions = [action for chain in made.chains for action in chain]
    assert all(isinstance(action, Delete | DeleteChecks | ReleaseNode | SetFinalizer) for action in actions)
    assert not any(action.present for action in actions if isinstance(action, SetFinalizer))


@given(_finished())
def test_what_it_takes_away_is_its_own(facts: Snapshot) -> None:
    own = str(facts.op.meta.claim)
    mine = {one.uid for one in facts.jobs.values() if one.owner and one.owner.uid == UID}
    mine |= {one.uid for one in facts.pods.values() if one.owner and one.owner.uid == UID}
    for action in (action for chain in plan(facts).chains for action in chain):
        if isinstance(action, Delete):
            assert action.uid in mine
        if isinstance(action, DeleteChecks):
            assert {uid for _, _, uid in action.pods} <= mine
        if isinstance(action, ReleaseNode):
            view = facts.nodes[action.node]
            assert own in (view.claimed_by, view.cordoned_by)
            assert not action.uncordon or view.cordoned_by == own


@st.composite
def _running(draw: st.DrawFn) -> Snapshot:
    steps = st.sampled_from(Step)
    records = {}
    for name in NAMES:
        step = draw(steps)
        ends = st.sampled_from(Outcome) if step in (Step.RELEASE, Step.DONE) else st.none()
        records[name] = record(step, draw(ends), name=name)
    return draw(_facts(op(records=records, **draw(_spec()))))


@given(_running())
def test_a_node_that_is_done_never_changes_and_no_slot_is_given_twice(facts: Snapshot) -> None:
    before = facts.op.status.nodes
    new = plan(facts).status
    records = new.nodes if new else before
    assert all(records[name] == old for name, old in before.items() if old.step is Step.DONE)
    order = list(Step)
    assert all(order.index(records[name].step) >= order.index(old.step) for name, old in before.items())
    limit = facts.op.spec.concurrency or len(records)
    flying = sum(one.in_flight for one in records.values())
    assert flying <= max(limit, sum(one.in_flight for one in before.values()))


@given(_running())
def test_whatever_has_a_side_effect_is_stored_before_it(facts: Snapshot) -> None:
    """An action belongs to a step that the store has, or has by then since the status goes first."""
    made = plan(facts)
    stored = facts.op.status.nodes
    acted = {getattr(action, "node", "") for chain in made.chains for action in chain} - {""}
    moved = {n for n in acted if made.status and made.status.nodes[n].step is not stored[n].step}
    assert made.urgent or not moved


@given(st.sampled_from([Phase.COMPLETED, Phase.FAILED]), st.sampled_from(Phase), FLAGS, FLAGS)
def test_a_finished_upgrade_never_starts_again(end: Phase, other: Phase, there: bool, paused: bool) -> None:
    up = upgrade(status=NodeOpUpgradeStatus(phase=end, node_op_uid=UID), meta={"paused": paused})
    told = op("kairos-upgrade", {}, phase=other) if there else None
    made = upgrades.plan(UpgradeSnapshot(up, told, at(0)))
    assert (made.status, made.chains) == (None, ())
