"""Odd objects through parse, plan and render: only typed errors come out, and nothing unknown gets lost.

What the API server has typed (built-in kinds, all metadata) keeps its types and loses parts; specs and statuses of the
project's own kinds may be anything, as if the schema of the CRD were not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos_operator.api.cluster import parse_job, parse_node, parse_pod
from kairos_operator.api.names import Role
from kairos_operator.api.objects import Unreadable, parse_node_op, parse_node_op_upgrade
from kairos_operator.api.resources import JOBS, NODE_OPS, NODES, PODS
from kairos_operator.api.status import Outcome, Step
from kairos_operator.core import nodeop, upgrade
from kairos_operator.core.snapshot import ChildKey, Images, Mark, Snapshot, Standing
from kairos_operator.core.upgrade import UpgradeSnapshot
from kairos_operator.runtime.merge import status_difference
from tests.sandbox.store.jsondata import merge_patch
from tests.sim.golden import GOLDEN
from tests.sim.simulation import Simulation

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
Object = dict[str, Any]


@pytest.fixture(scope="module")
def harvest() -> dict[str, list[Object]]:
    """Real objects of each kind, as they were in the middle of simulated operations."""
    found: dict[str, dict[str, Object]] = {}
    for name in (
        "rolling-upgrade",
        "second-operation-waits-for-the-first",
        "command-succeeds-at-the-second-try",
    ):
        simulation = Simulation(GOLDEN[name])
        simulation.cluster.listeners.append(
            lambda change: found.setdefault(change.resource.kind, {}).__setitem__(
                change.obj["metadata"]["resourceVersion"], change.obj
            )
        )
        simulation.run()
    return {kind: [objects[key] for key in sorted(objects, key=int)] for kind, objects in found.items()}


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=20)
    | st.floats(allow_nan=False)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def mutated(draw: st.DrawFn, value: Any, rate: int) -> Any:
    """`value` with some of its parts replaced by anything, taken away, or doubled."""
    if draw(st.integers(0, rate)) == 0:
        return draw(anything)
    if isinstance(value, Mapping):
        return {
            key: mutated(draw, item, rate) for key, item in value.items() if draw(st.integers(0, rate)) != 0
        }
    if isinstance(value, list):
        return [mutated(draw, item, rate) for item in value]
    return value


def pruned(draw: st.DrawFn, value: Any, rate: int, keep: frozenset[str] = frozenset()) -> Any:
    """`value` without some of its optional parts."""
    if isinstance(value, Mapping):
        return {
            key: item if key in keep else pruned(draw, item, rate, keep)
            for key, item in value.items()
            if key in keep or draw(st.integers(0, rate)) != 0
        }
    if isinstance(value, list):
        return [pruned(draw, item, rate, keep) for item in value if draw(st.integers(0, rate)) != 0]
    return value


KEEP = frozenset({"metadata", "type", "status", "name", "kind", "uid"})


def _snapshot(draw: st.DrawFn, op_body: Object, harvest: Mapping[str, list[Object]]) -> Snapshot:
    op = parse_node_op(op_body)
    some = {
        kind: draw(st.lists(st.sampled_from(harvest[kind]), max_size=6)) for kind in ("Node", "Pod", "Job")
    }
    nodes = [parse_node(pruned(draw, body, 20, KEEP)) for body in some["Node"]]
    pods = [parse_pod(pruned(draw, body, 20, KEEP)) for body in some["Pod"]]
    jobs = [parse_job(pruned(draw, body, 20, KEEP)) for body in some["Job"]]
    names = sorted({*op.status.nodes, *(node.name for node in nodes)}) or ["n0"]
    role, standing = (
        st.sampled_from([role for role in Role if role is not Role.JOB]),
        st.sampled_from(Standing),
    )
    marks = {
        Mark(text, n.name): draw(standing) for n in nodes for text in (n.claimed_by, n.cordoned_by) if text
    }
    return Snapshot(
        op=op,
        now=NOW,
        images=Images("operator:1", "", ""),
        nodes={node.name: node for node in nodes},
        gone=frozenset(name for name in names if draw(st.booleans())) - {node.name for node in nodes},
        listed=frozenset(name for name in names if draw(st.booleans())) if draw(st.booleans()) else None,
        jobs={draw(st.sampled_from(names)): job for job in jobs},
        pods={ChildKey(draw(role), draw(st.sampled_from(names))): pod for pod in pods},
        job_pods={draw(st.sampled_from(names)): tuple(pods)},
        node_pods={draw(st.sampled_from(names)): tuple(pods)},
        standings=marks,
        holders={name: "default/other" for name in names if draw(st.booleans())},
        seen_after=frozenset(name for name in names if draw(st.booleans())),
        released=frozenset(name for name in names if draw(st.booleans())),
        refusals={"set the finalizer": "no"} if draw(st.booleans()) else {},
    )


@given(st.data())
@SOME
def test_any_spec_and_status_parse_or_are_unreadable(
    harvest: dict[str, list[Object]], data: st.DataObject
) -> None:
    """A NodeOp or NodeOpUpgrade of any content is either read or refused with its faults."""
    for kind, parse in (("NodeOp", parse_node_op), ("NodeOpUpgrade", parse_node_op_upgrade)):
        body = data.draw(st.sampled_from(harvest[kind]))
        odd = {**body, "spec": _mutated(data, body["spec"]), "status": _mutated(data, body.get("status"))}
        try:
            parsed = parse(odd)
        except Unreadable as error:
            refusal = str(error)
        else:
            refusal = "spec and status are fine"
            json.dumps(parsed.spec.render())
            json.dumps(parsed.status.render())
        assert "spec" in refusal or "status" in refusal  # it names the fields


def _mutated(data: st.DataObject, value: Any) -> Any:
    found = data.draw(st.composite(mutated)(value, 12))
    return found if isinstance(found, dict) else {"spec": found}


@given(st.data())
@SOME
def test_every_plan_is_a_plan(harvest: dict[str, list[Object]], data: st.DataObject) -> None:
    """Whatever objects are put together, planning ends in actions and a status that can be written."""
    body = data.draw(st.sampled_from(harvest["NodeOp"]))
    snapshot = data.draw(st.composite(_snapshot)(body, harvest))
    plan = nodeop.plan(snapshot)
    if plan.status is not None:
        json.dumps(status_difference(snapshot.op.status, plan.status))
    for chain in plan.chains:
        for action in chain:
            assert action.subject
            json.dumps(getattr(action, "body", {}))
    for name, record in snapshot.op.status.nodes.items():
        if record.step is Step.DONE:
            assert plan.status is None or plan.status.nodes[name] == record


@given(st.data())
@SOME
def test_every_upgrade_plan_is_a_plan(harvest: dict[str, list[Object]], data: st.DataObject) -> None:
    """The same for upgrades, with and without a NodeOp of any kind beside them."""
    found = parse_node_op_upgrade(data.draw(st.sampled_from(harvest["NodeOpUpgrade"])))
    node_op = data.draw(st.none() | st.sampled_from([parse_node_op(body) for body in harvest["NodeOp"]]))
    plan = upgrade.plan(UpgradeSnapshot(found, node_op, NOW))
    if plan.status is not None:
        json.dumps(status_difference(found.status, plan.status))


@given(st.data())
@SOME
def test_unknown_fields_survive_a_status_write(harvest: dict[str, list[Object]], data: st.DataObject) -> None:
    """What a newer operator has put into a status is still there after this one has written it."""
    body = data.draw(st.sampled_from([one for one in harvest["NodeOp"] if one.get("status")]))
    unknown = data.draw(anything.filter(lambda value: value is not None))
    status = {**body["status"], "ofTheFuture": unknown}
    status["nodeStatuses"] = {
        n: {**r, "ofTheFuture": unknown} for n, r in (status.get("nodeStatuses") or {}).items()
    }
    op = parse_node_op({**body, "status": status})
    changed = {
        name: record.model_copy(update={"message": "changed", "outcome": Outcome.FAILED})
        for name, record in op.status.nodes.items()
    }
    new = op.status.model_copy(update={"node_statuses": changed, "message": "changed"})
    written = merge_patch(status, status_difference(op.status, new))
    assert written["ofTheFuture"] == unknown
    assert all(record["ofTheFuture"] == unknown for record in written["nodeStatuses"].values())
    assert written["message"] == "changed"


def test_the_harvest_has_all_kinds(harvest: dict[str, list[Object]]) -> None:
    """Otherwise the tests above would test little."""
    for resource in (NODE_OPS, NODES, PODS, JOBS):
        assert len(harvest[resource.kind]) > 5
