"""The Job while it runs: what is said of it, what holds it up, and a node that is away for too long."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.cluster import ContainerView
from kairos_operator.api.status import Outcome, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.work import without_pods
from tests.core.test_work import _facts, _new, _op
from tests.core.world import (
    after,
    at,
    ended,
    job,
    node,
    pod,
    subjects,
)

AWAY: dict[str, Any] = {"ready": False, "ready_reason": "Kubelet stopped posting node status."}


@pytest.mark.parametrize(
    ("found", "pods", "view", "says"),
    [
        pytest.param({}, (), node(), "Job {} has no pod yet", id="nothing runs yet"),
        pytest.param({}, (pod(),), node(), "Job {} is running", id="it runs"),
        pytest.param(
            {}, (pod(),), node(**AWAY), f"Job {{}}: the node is not Ready: {AWAY['ready_reason']}", id="away"
        ),
        pytest.param(
            {},
            (pod(containers=(ContainerView("nodeop", waiting="ErrImagePull: denied"),)),),
            node(),
            "Job {}: container nodeop is waiting: ErrImagePull: denied",
            id="image",
        ),
        pytest.param(
            {"attempts": 2},
            (pod(phase="Failed", containers=(ended(1, "flaky", "nodeop"),)), pod("job-2")),
            node(),
            "Job {} is running again after 2 failed tries; the last: container nodeop exited with code 1: flaky",
            id="tries",
        ),
    ],
)
def test_what_is_said_of_a_running_job(found: dict[str, Any], pods: Any, view: Any, says: str) -> None:
    one = job(_op(), **found)
    assert _new(_op(), one, job_pods={"n1": pods}, view=view).message == says.format(one.name)


def test_what_is_against_the_pod_of_a_job_is_said_until_there_is_one() -> None:
    one, refusals = job(_op()), {"n1": "violates PodSecurity"}
    says = _new(_op(), one, pod_refusals=refusals).message
    assert says == f"Job {one.name} has no pod yet: violates PodSecurity"
    assert "violates" not in (
        _new(_op(), one, pod_refusals=refusals, job_pods={"n1": (pod(),)}).message or ""
    )


@pytest.mark.parametrize(
    ("since", "found", "pods", "asks"),
    [
        (-5, {}, (), True),
        (-4, {}, (), False),
        (-60, {}, (pod(),), False),
        (-60, {"complete": True}, (), False),
        (-60, {"failed": True}, (), False),
    ],
)
def test_a_job_that_has_no_pod_for_long_is_asked_why(
    since: int, found: dict[str, Any], pods: tuple[Any, ...], asks: bool
) -> None:
    of = _op({"step_started_at": at(since)})
    facts = _facts(of, job(of, **found), job_pods={"n1": pods})
    assert without_pods(facts) == (("n1",) if asks else ())


def test_a_refused_create_is_said() -> None:
    of = _op()
    create = subjects(_facts(of))[0]
    assert _new(of, refusals={create: "quota"}).message == "Cannot start the Job yet: quota"


@pytest.mark.parametrize(
    ("since", "seconds", "lost"),
    [(0, 1799, False), (0, 1800, True), (1000, 1800, False), (1000, 2800, True), (-9999, 1799, False)],
)
@pytest.mark.parametrize("there", [True, False], ids=["Job there", "no Job yet"])
def test_a_node_that_is_away_for_too_long_fails(
    since: float, seconds: float, lost: bool, there: bool
) -> None:
    view = node(ready_since=at(since), **AWAY)
    of = _op()
    pods = {"n1": (pod(),)}
    facts = _facts(of, job(of) if there else None, view=view, seconds=seconds, job_pods=pods)
    new = after(facts).nodes["n1"]
    assert (new.outcome is Outcome.FAILED) is lost
    if lost:
        assert (new.message or "").startswith("The node has not been Ready for 30 min while the Job was due")
        assert all(subject.startswith("delete Job") for subject in subjects(facts))
    else:
        assert plan(facts).recheck_after == 1800 + max(0, since) - seconds


def test_a_ready_node_is_given_all_the_time() -> None:
    facts = _facts(_op(), job(_op()), seconds=10**6, job_pods={"n1": (pod(),)})
    assert after(facts).nodes["n1"].step is Step.JOB
    assert plan(facts).recheck_after is None
