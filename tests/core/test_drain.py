"""The drain: what becomes of each pod, how long it is waited for, and what is said when it cannot be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.cluster import PodView
from kairos_operator.api.names import Role
from kairos_operator.api.nodeop import DrainOptions
from kairos_operator.api.objects import NodeOp, Owner
from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.actions import EvictPod
from kairos_operator.core.drain import Blocked, Busy, Ending, Evict, Leave, classify
from kairos_operator.core.nodeop import plan
from kairos_operator.core.site import Site
from kairos_operator.core.snapshot import Snapshot
from tests.core.rollout import Rollout
from tests.core.world import after, at, node, op, ours, pod, record, role_pod, snapshot

JOB = Owner("Job", "other-n1-abcde", "uid-of-job")
DAEMON = Owner("DaemonSet", "log", "uid-of-log")
REFUSAL = "Cannot evict pod: The disruption budget web needs 2 healthy pods and has 2 currently"


def _op(**options: Any) -> NodeOp:
    return op(records={"n1": record(Step.DRAIN)}, cordon=True, drain_options={"enabled": True, **options})


def _facts(of: NodeOp, *pods: PodView, seconds: float = 0, **facts: Any) -> Snapshot:
    view = facts.pop("view", None) or ours(of)
    return snapshot(of, view, seconds=seconds, node_pods={"n1": pods}, operator_pod="system/me", **facts)


def _drained(of: NodeOp, *pods: PodView, **facts: Any) -> NodeStatus:
    return after(_facts(of, *pods, **facts)).nodes["n1"]


def _evictions(of: NodeOp, *pods: PodView, **facts: Any) -> list[EvictPod]:
    chains = plan(_facts(of, *pods, **facts)).chains
    return [action for chain in chains for action in chain if isinstance(action, EvictPod)]


@pytest.mark.parametrize(
    ("facts", "options", "verdict", "says"),
    [
        pytest.param({}, {}, Evict, "", id="a pod with a controller"),
        pytest.param({"phase": "Pending"}, {}, Evict, "", id="a pod that has not begun"),
        pytest.param(
            {"mirror": True, "owner": None}, {"force": True}, Leave, "static pod", id="a mirror pod"
        ),
        pytest.param(
            {"mirror": True, "owner": Owner("Node", "n1", "u")},
            {"force": True},
            Leave,
            "static pod",
            id="static",
        ),
        pytest.param({"owner": DAEMON}, {}, Leave, "DaemonSet", id="a DaemonSet pod, ignored"),
        pytest.param(
            {"owner": DAEMON, "empty_dir": True}, {}, Leave, "DaemonSet", id="one with data, ignored"
        ),
        pytest.param(
            {"owner": DAEMON}, {"ignore_daemon_sets": False}, Blocked, "ignoreDaemonSets", id="not ignored"
        ),
        pytest.param({"owner": None}, {}, Leave, "drainOptions.force", id="no controller"),
        pytest.param({"owner": None}, {"force": True}, Evict, "", id="no controller, force"),
        pytest.param({"empty_dir": True}, {}, Leave, "deleteEmptyDirData", id="emptyDir"),
        pytest.param({"empty_dir": True}, {"delete_empty_dir_data": True}, Evict, "", id="emptyDir, delete"),
        pytest.param(
            {"empty_dir": True, "owner": None}, {"force": True}, Leave, "deleteEmptyDirData", id="force alone"
        ),
        pytest.param(
            {"empty_dir": True, "owner": None},
            {"delete_empty_dir_data": True},
            Leave,
            "force",
            id="data alone",
        ),
        pytest.param(
            {"namespace": "system", "name": "me"}, {}, Leave, "operator's own", id="the operator's pod"
        ),
        pytest.param({"namespace": "other", "name": "me"}, {}, Evict, "", id="another pod of that name"),
        pytest.param({"node_op": "op"}, {"force": True}, Leave, "", id="this operation's pod"),
        pytest.param({"node_op": "op", "namespace": "x"}, {}, Evict, "", id="of that name elsewhere"),
        pytest.param(
            {"node_op": "other", "labels": {"kairos.io/preflight": "true"}},
            {},
            Leave,
            "",
            id="another's check",
        ),
        pytest.param({"node_op": "other", "owner": JOB}, {}, Busy, "", id="another's command"),
        pytest.param(
            {"node_op": "other", "owner": JOB, "deleting_since": at(30)}, {}, Ending, "", id="and it is going"
        ),
        pytest.param({"node_op": "op", "owner": JOB}, {}, Leave, "", id="this operation's command"),
        pytest.param({"owner": JOB}, {}, Evict, "", id="a user's Job"),
        pytest.param({"phase": "Succeeded", "owner": None}, {}, Leave, "", id="a finished pod"),
        pytest.param({"phase": "Failed"}, {}, Leave, "", id="a failed pod"),
        pytest.param({"deleting_since": at(30)}, {}, Ending, "", id="a pod that is going"),
        pytest.param({"deleting_since": at(-60)}, {}, Ending, "", id="one that is late on a Ready node"),
    ],
)
def test_what_becomes_of_a_pod(
    facts: dict[str, Any], options: dict[str, Any], verdict: type, says: str
) -> None:
    of = _op(**options)
    name = facts.pop("name", "web-1")
    site = Site(_facts(of), "n1", of.status.nodes["n1"])
    found = classify(site, pod(name, **facts), of.spec.drain_options or DrainOptions())
    assert type(found) is verdict
    assert says in getattr(found, "reason", "")


def test_own_children_are_left_alone_whatever_they_are() -> None:
    of = _op(force=True)
    assert _evictions(of, role_pod(of, Role.REBOOT), role_pod(of, Role.PREFLIGHT)) == []


@pytest.mark.parametrize(
    ("ready", "since", "waits"),
    [(True, -60, True), (False, 60, True), (False, -1, False)],
    ids=["the node is there", "not due yet", "nobody can confirm its end"],
)
def test_a_pod_that_is_ending_is_waited_for(ready: bool, since: float, waits: bool) -> None:
    of = _op()
    going = pod(deleting_since=at(since))
    new = _drained(of, going, view=replace(ours(of), ready=ready))
    assert (new.step is Step.DRAIN) is waits
    assert _evictions(of, going) == []


def test_another_operations_command_is_waited_for_and_named() -> None:
    of, busy = _op(), pod("x", node_op="other", owner=JOB)
    new = _drained(of, busy, pod())
    assert new.message == "Draining: waiting for default/x (NodeOp other at work), default/web-1 to end"
    assert [one.name for one in _evictions(of, busy, pod())] == ["web-1"]
    new = _drained(of, busy, seconds=300)
    assert (
        new.message
        == "Drain failed: not done after 5 min; waiting for default/x (NodeOp other at work) to end"
    )
    assert (new.outcome, new.keep_cordon) == (Outcome.FAILED, None)


def test_a_pod_of_another_uid_is_evicted_anew() -> None:
    """The ReplicaSet put another one of that name here in between: it is another pod."""
    of = _op()
    assert [one.uid for one in _evictions(of, pod(uid="first"), pod("web-2", uid="second"))] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [(None, None), (-1, None), (0, 0), (30, 30)],
    ids=["unset", "negative", "at once", "30 s"],
)
def test_the_grace_period(asked: int | None, sent: int | None) -> None:
    (action,) = _evictions(_op(grace_period_seconds=asked), pod())
    assert action.grace_period_seconds == sent


def test_what_is_not_known_drains_nothing() -> None:
    of = _op()
    made = plan(snapshot(of, ours(of)))
    assert (made.chains, made.recheck_after) == ((), 0.0)
    assert made.status is None or made.status.nodes["n1"].step is Step.DRAIN


def test_an_empty_node_is_drained() -> None:
    assert _drained(_op()).step is Step.JOB


def test_what_was_left_alone_is_reported() -> None:
    made = plan(
        _facts(_op(), pod("log-1", owner=DAEMON), pod("bare", owner=None), pod("gone", phase="Failed"))
    )
    (text,) = [note.text for note in made.notes if note.reason == "Drained"]
    assert "default/log-1 (a DaemonSet pod)" in text
    assert "default/bare (no controller would make it anew; drainOptions.force evicts it)" in text
    assert "gone" not in text


def test_a_refused_drain_fails_at_once_and_uncordons() -> None:
    of = _op(ignore_daemon_sets=False)
    new = _drained(of, pod("log-1", owner=DAEMON), pod())
    assert new.outcome is Outcome.FAILED
    assert new.message is not None
    assert new.message.startswith("Drain refused: default/log-1")
    assert new.keep_cordon is None


def test_while_a_budget_refuses_the_pod_and_the_budget_are_named() -> None:
    of = _op()
    facts = _facts(of, pod(), pod("web-2"), refusals={"evict uid-of-web-1": REFUSAL})
    status = after(facts)
    assert status.nodes["n1"].message == f"Draining: default/web-1 cannot be evicted: {REFUSAL}"
    blocked = {one.type: one for one in status.conditions or ()}["DrainBlocked"]
    assert (blocked.status, blocked.message) == ("True", f"default/web-1 on n1: {REFUSAL}")


def test_that_a_drain_stands_still_is_told_once() -> None:
    of = _op()
    facts = _facts(of, pod(), refusals={"evict uid-of-web-1": REFUSAL})
    (note,) = [note for note in plan(facts).notes if note.reason == "DrainBlocked"]
    assert (note.type, note.node) == ("Warning", "n1")
    assert note.text == f"default/web-1 cannot be evicted: {REFUSAL}"
    told = replace(facts, op=replace(facts.op, status=after(facts)))
    assert [note for note in plan(told).notes if note.reason == "DrainBlocked"] == []


def test_the_timeout_counts_from_the_stored_beginning() -> None:
    of = _op(timeout_seconds=60)
    assert plan(_facts(of, pod(), seconds=59)).recheck_after == 1
    assert _drained(of, pod(), seconds=59).step is Step.DRAIN
    assert _drained(of, pod(), seconds=60).outcome is Outcome.FAILED
    assert _evictions(of, pod(), seconds=60) == []


def test_a_drain_that_timed_out_gives_the_node_back_schedulable() -> None:
    story = Rollout.of(op(cordon=True, drain_options={"enabled": True, "timeout_seconds": 30}), node())
    story.pods["default/web-1"] = pod()
    story.budgets["default/web-1"] = REFUSAL
    story.run()
    view = story.nodes["n1"]
    assert (view.unschedulable, view.claimed_by, view.cordoned_by) == (False, "", "")
    assert story.jobs == {}
    assert REFUSAL in story.message("n1")


def test_a_cordon_that_somebody_lifts_ends_the_drain() -> None:
    """Otherwise the pods come back to the node, are evicted again and again, and at last killed by the reboot."""
    of = _op()
    new = _drained(of, pod(), view=replace(ours(of), unschedulable=False))
    assert new.outcome is Outcome.FAILED
    assert new.message == "Drain failed: somebody made the node schedulable again in the middle of it"
    assert _evictions(of, pod(), view=replace(ours(of), unschedulable=False)) == []


def test_a_view_from_before_the_cordon_is_no_lifted_cordon() -> None:
    """After a restart the cache may be a moment behind: our claim and our cordon come in one write."""
    assert _drained(_op(), pod(), view=node()).step is Step.DRAIN
