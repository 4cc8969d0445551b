"""The preflight and the postflight: what their pods' ends mean, and what is said while they run."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.cluster import ContainerView, PodView
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp, Owner
from kairos_operator.api.status import NodeStatus, Outcome, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.world import after, ended, node, op, ours, record, role_pod, snapshot, subjects

CHECKS: dict[str, Any] = {"preflight": {"command": ["check"]}, "postflight": {"command": ["check"]}}
DEADLINE = 120 + 60  # the default, and the time a kubelet has to begin


def _op(step: Step) -> NodeOp:
    return op(records={"n1": record(step)}, **CHECKS)


def _facts(step: Step, view: PodView | None = None, seconds: float = 0, **more: Any) -> Snapshot:
    of = _op(step)
    role = Role.PREFLIGHT if step is Step.PREFLIGHT else Role.POSTFLIGHT
    pods = {ChildKey(role, "n1"): view} if view else {}
    return snapshot(of, more.pop("on", node()), seconds=seconds, pods=pods, **more)


def _ends(step: Step, **pod: Any) -> NodeStatus:
    role = Role.PREFLIGHT if step is Step.PREFLIGHT else Role.POSTFLIGHT
    return after(_facts(step, role_pod(_op(step), role, **pod))).nodes["n1"]


def test_silence_lets_the_node_go_on() -> None:
    assert _ends(Step.PREFLIGHT, phase="Succeeded", containers=(ended(0),)).step is Step.JOB


def test_a_message_on_success_skips_the_node_without_a_job() -> None:
    said = ended(0, "node is already at v3.4.2-k3sv1.30.11-k3s1")
    new = _ends(Step.PREFLIGHT, phase="Succeeded", containers=(said,))
    assert (new.step, new.outcome, new.phase) == (Step.DONE, Outcome.SKIPPED, "Completed")
    assert new.message == "Skipped by preflight: node is already at v3.4.2-k3sv1.30.11-k3s1"
    assert new.job_name is None


def test_a_message_of_a_failed_try_does_not_skip_the_node() -> None:
    """The pod restarts on failure: what counts is the last run's message, which is none."""
    again = ended(0, restarts=1)
    assert _ends(Step.PREFLIGHT, phase="Succeeded", containers=(again,)).step is Step.JOB


def test_a_message_while_the_pod_runs_skips_nothing() -> None:
    running = ContainerView("preflight", exit_code=1, message="not yet", restarts=1)
    assert _ends(Step.PREFLIGHT, phase="Running", containers=(running,)).step is Step.PREFLIGHT


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        pytest.param(
            {"containers": (ended(3, "no disk\nat all", "preflight"),)},
            "no disk | at all",
            id="its own words",
        ),
        pytest.param(
            {"containers": (ended(3, "", "preflight"),)},
            "container preflight exited with code 3",
            id="an exit code alone",
        ),
        pytest.param(
            {"containers": (ended(137, "Loading", "preflight", reason="OOMKilled"),)},
            "container preflight exited with code 137 (OOMKilled): Loading",
            id="killed",
        ),
        pytest.param(
            {"containers": (ended(127, "check: not found", "preflight"),)},
            "container preflight exited with code 127: check: not found",
            id="it could not be run",
        ),
        pytest.param(
            {"reason": "DeadlineExceeded", "message": "Pod was active longer than specified deadline"},
            "DeadlineExceeded: Pod was active longer than specified deadline",
            id="its own deadline",
        ),
        pytest.param(
            {"reason": "Evicted", "message": "low on memory", "containers": (ended(137, name="preflight"),)},
            "container preflight exited with code 137; Evicted: low on memory",
            id="evicted",
        ),
        pytest.param({}, "the pod failed", id="no reason at all"),
    ],
)
@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.POSTFLIGHT])
def test_a_failed_pod_fails_the_node_with_its_reason(step: Step, pod: dict[str, Any], said: str) -> None:
    new = _ends(step, phase="Failed", **pod)
    assert new.outcome is Outcome.FAILED
    assert new.message == f"{step.value} failed: {said}"


def test_a_failed_preflight_holds_nothing_to_give_back() -> None:
    assert _ends(Step.PREFLIGHT, phase="Failed").step is Step.DONE


@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.POSTFLIGHT])
@pytest.mark.parametrize("owner", [None, Owner("NodeOp", "op", "another uid"), Owner("ReplicaSet", "x", "y")])
def test_a_foreign_pod_of_that_name_gives_no_verdict(step: Step, owner: Owner | None) -> None:
    new = _ends(step, phase="Succeeded", owner=owner, containers=(ended(0, "skip me"),))
    assert new.outcome is Outcome.FAILED
    assert "is not this NodeOp's" in (new.message or "")


@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.POSTFLIGHT])
def test_a_pod_that_was_deleted_is_made_anew(step: Step) -> None:
    """Also one that was never made: the operator may have died between storing the step and the create."""
    assert subjects(_facts(step))[0].startswith("create Pod op-n1-" + step.value.lower())


@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.POSTFLIGHT])
@pytest.mark.parametrize(
    ("container", "on", "text"),
    [
        pytest.param(
            ContainerView("c", waiting="ImagePullBackOff: no such image x:1"),
            node(),
            "container c is waiting: ImagePullBackOff: no such image x:1",
            id="image pull",
        ),
        pytest.param(
            ContainerView("c", waiting="CrashLoopBackOff", exit_code=2, message="boom"),
            node(),
            "container c is waiting: CrashLoopBackOff (container c exited with code 2: boom)",
            id="crash loop",
        ),
        pytest.param(
            ContainerView("c"),
            node(ready=False, ready_reason="Kubelet stopped posting node status."),
            "the node is not Ready: Kubelet stopped posting node status.",
            id="node away",
        ),
    ],
)
def test_what_holds_a_check_up_is_said(step: Step, container: ContainerView, on: Any, text: str) -> None:
    role = Role.PREFLIGHT if step is Step.PREFLIGHT else Role.POSTFLIGHT
    pod = role_pod(_op(step), role, phase="Pending", containers=(container,))
    new = after(_facts(step, pod, on=on)).nodes["n1"]
    assert new.message == f"{step.value}: {text}"
    late = after(_facts(step, pod, on=on, seconds=DEADLINE)).nodes["n1"]
    assert (late.outcome, late.message) == (
        Outcome.FAILED,
        f"{step.value} failed: no verdict after 3 min; {text}",
    )


def test_a_node_that_is_away_does_not_keep_its_slot_for_a_deadline_that_is_meant_for_a_pull() -> None:
    patient = op(
        records={"n1": record(Step.PREFLIGHT)},
        preflight={"command": ["check"], "activeDeadlineSeconds": 1800},
    )
    away = node(ready=False, ready_reason="gone")
    assert after(snapshot(patient, node(), seconds=600)).nodes["n1"].step is Step.PREFLIGHT
    assert after(snapshot(patient, away, seconds=170)).nodes["n1"].step is Step.PREFLIGHT
    late = after(snapshot(patient, away, seconds=180)).nodes["n1"]
    assert (late.outcome, late.step) == (Outcome.FAILED, Step.DONE)
    assert "the node is not Ready: gone" in (late.message or "")


def test_a_refused_create_is_said_and_ends_at_the_deadline() -> None:
    create = subjects(_facts(Step.PREFLIGHT))[0]
    refusals = {create: 'pods "x" is forbidden: violates PodSecurity'}
    assert "violates PodSecurity" in (
        after(_facts(Step.PREFLIGHT, refusals=refusals)).nodes["n1"].message or ""
    )
    late = after(_facts(Step.PREFLIGHT, refusals=refusals, seconds=DEADLINE)).nodes["n1"]
    assert late.outcome is Outcome.FAILED


@pytest.mark.parametrize("step", [Step.PREFLIGHT, Step.POSTFLIGHT])
def test_the_deadline_is_looked_at_when_it_comes(step: Step) -> None:
    assert plan(_facts(step, seconds=30)).recheck_after == DEADLINE - 30


def test_a_verdict_that_comes_late_still_counts() -> None:
    """The operator was away for an hour; the pod had ended in time."""
    pod = role_pod(_op(Step.PREFLIGHT), Role.PREFLIGHT, phase="Succeeded", containers=(ended(0),))
    assert after(_facts(Step.PREFLIGHT, pod, seconds=3600)).nodes["n1"].step is Step.JOB


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", "Verified by postflight"),
        ("versions not compared", "Verified by postflight: versions not compared"),
    ],
)
def test_a_postflight_that_succeeds_is_good_whatever_it_says(message: str, text: str) -> None:
    new = _ends(Step.POSTFLIGHT, phase="Succeeded", containers=(ended(0, message),))
    assert (new.outcome, new.message) == (Outcome.COMPLETED, text)


def test_a_check_pod_is_deleted_with_the_plan_that_stores_its_verdict_and_not_before() -> None:
    of = _op(Step.PREFLIGHT)
    running = role_pod(of, Role.PREFLIGHT)
    assert subjects(_facts(Step.PREFLIGHT, running)) == []
    over = role_pod(of, Role.PREFLIGHT, phase="Succeeded", containers=(ended(0, "skip"),))
    made = plan(_facts(Step.PREFLIGHT, over))
    assert made.urgent
    assert [action.subject for chain in made.chains for action in chain] == [f"delete Pod {over.name}"]


def test_a_foreign_check_pod_is_never_deleted() -> None:
    stranger = role_pod(_op(Step.PREFLIGHT), Role.PREFLIGHT, owner=None)
    assert subjects(_facts(Step.PREFLIGHT, stranger)) == []


def test_the_postflight_holds_the_slot_and_the_cordon() -> None:
    of = op(
        records={"n1": record(Step.POSTFLIGHT), "n2": record(Step.WAITING)},
        concurrency=1,
        cordon=True,
        **CHECKS,
    )
    made = plan(snapshot(of, ours(of), node("n2")))
    assert [action.subject.split()[0:2] for chain in made.chains for action in chain] == [["create", "Pod"]]
    assert after(snapshot(of, ours(of), node("n2"))).nodes["n2"].step is Step.WAITING
