"""The proof of a reboot: the pod says so, the bootID is another one, and the node is Ready. Nothing less counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from kairos_operator.api.cluster import ContainerView
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Outcome, Phase, RebootStatus, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.reboot import said_to_be_back
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.rollout import Rollout
from tests.core.world import after, at, ended, job, node, op, ours, record, role_pod, snapshot, subjects

TIMEOUT = 1800
FIRST, SECOND, THIRD = "n1-boot-1", "n1-boot-2", "n1-boot-3"


def _op(**spec: Any) -> NodeOp:
    known = record(Step.REBOOT, reboot_status=RebootStatus.PENDING, job_uid="uid-of-job-n1")
    return op(records={"n1": known}, **{"reboot_on_success": True, "cordon": True, **spec})


def _facts(of: NodeOp, pod: dict[str, Any] | None, seconds: float = 0, **view: Any) -> Snapshot:
    pods = {} if pod is None else {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **pod)}
    there = replace(ours(of), **view)
    return snapshot(of, there, seconds=seconds, pods=pods, jobs={"n1": job(of, complete=True)})


def _new(pod: dict[str, Any] | None, seconds: float = 0, **view: Any) -> NodeStatus:
    return after(_facts(_op(), pod, seconds, **view)).nodes["n1"]


def _says(boot: str = FIRST) -> dict[str, str]:
    return {"reboot_state": "completed", "reboot_boot_id": boot}


@pytest.mark.parametrize(
    ("says", "changed", "ready"),
    [
        pytest.param(*three, id=f"says={three[0]} changed={three[1]} ready={three[2]}")
        for three in product((0, 1), repeat=3)
    ],
)
def test_only_all_three_signs_together_are_proof(says: int, changed: int, ready: int) -> None:
    pod: dict[str, Any] = _says() if says else {}
    view: dict[str, Any] = {"boot_id": SECOND if changed else FIRST, "ready": bool(ready)}
    new = _new(pod, **view)
    assert (new.outcome is Outcome.COMPLETED) is bool(says and changed and ready)
    late = _new(pod, TIMEOUT, **view)
    assert late.outcome is (Outcome.COMPLETED if says and changed and ready else Outcome.FAILED)


def test_a_reboot_that_nobody_asked_for_does_not_count() -> None:
    """The node rebooted by itself in the middle of the Job: the pod ends the second boot, and the third is proof."""
    assert _new(_says(SECOND), boot_id=SECOND).outcome is None
    assert _new(_says(SECOND), boot_id=THIRD).outcome is Outcome.COMPLETED


def test_a_node_that_reports_no_boot_id_is_never_proven() -> None:
    assert _new(_says(), boot_id="").outcome is None
    assert _new(_says(), TIMEOUT, boot_id="").outcome is Outcome.FAILED


def test_a_boot_id_that_was_unknown_at_the_start_is_the_pods_to_tell() -> None:
    of = op(records={"n1": record(Step.REBOOT, boot_id=None)}, reboot_on_success=True)
    pod = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **_says(FIRST))}
    facts = snapshot(of, ours(of, node(boot_id=SECOND), cordoned=False), pods=pod)
    assert after(facts).nodes["n1"].outcome is Outcome.COMPLETED
    facts = snapshot(of, ours(of, node(boot_id=FIRST), cordoned=False), pods=pod)
    assert after(facts).nodes["n1"].outcome is None


def test_what_the_pod_said_is_remembered_when_the_pod_is_gone() -> None:
    """The pod may be collected, or its node drained by somebody, before the node is seen back."""
    story = Rollout.of(op(cordon=True, reboot_on_success=True), node())
    while story.nodes["n1"].ready:
        story.tick()
    story.settle()
    for path in [path for path in story.pods if "reboot" in path]:
        del story.pods[path]
    story.nodes["n1"] = replace(story.nodes["n1"], ready=True, boot_id=SECOND)
    assert story.run().phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("pod", "view", "says"),
    [
        pytest.param(_says(), {"boot_id": FIRST}, "the node's bootID did not change", id="bootID"),
        pytest.param(
            _says(),
            {"boot_id": FIRST, "ready": False, "ready_reason": "no status"},
            "the node went down and did not come back: no status",
            id="down",
        ),
        pytest.param(
            {},
            {"boot_id": FIRST, "ready": False, "ready_reason": "no status"},
            "the reboot pod has not rebooted the node; the node is not Ready: no status",
            id="down before its reboot",
        ),
        pytest.param(
            {},
            {"boot_id": SECOND, "ready": False, "ready_reason": "no CNI"},
            "bootID changed, but the reboot pod has not rebooted the node; the node is not Ready: no CNI",
            id="by itself, not Ready",
        ),
        pytest.param(
            _says(),
            {"boot_id": SECOND, "ready": False, "ready_reason": "no CNI"},
            "not Ready: no CNI",
            id="not Ready",
        ),
        pytest.param({}, {"boot_id": FIRST}, "the reboot pod has not rebooted the node", id="pod"),
        pytest.param({}, {"boot_id": SECOND}, "bootID changed, but the reboot pod has not", id="by itself"),
    ],
)
def test_the_deadline_says_what_was_missing(pod: dict[str, Any], view: dict[str, Any], says: str) -> None:
    new = _new(pod, TIMEOUT, **view)
    assert (new.message or "").startswith("Reboot failed: not back after 30 min: ")
    assert says in (new.message or "")
    assert new.keep_cordon is True
    told = pod.get("reboot_state") == "completed"
    assert new.reboot_status is (RebootStatus.PENDING if told else RebootStatus.CANCELLED)


def test_the_deadline_counts_from_the_stored_beginning_of_the_reboot() -> None:
    facts = _facts(_op(reboot_timeout_seconds=60), _says(), 59)
    assert plan(facts).recheck_after == 1
    assert after(facts).nodes["n1"].step is Step.REBOOT


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        ({"reboot_state": "failed: nsenter: no such file"}, "Reboot failed: nsenter: no such file"),
        (
            {"reboot_state": "failed", "containers": (ended(1, "refused", "reboot"),)},
            "Reboot failed: container reboot exited with code 1: refused",
        ),
        ({"reboot_state": "failed: still up", "phase": "Failed"}, "Reboot failed: still up"),
    ],
)
def test_a_reboot_that_fails_fails_the_node_at_once(pod: dict[str, Any], says: str) -> None:
    new = _new(pod)
    assert (new.outcome, new.message) == (Outcome.FAILED, says)


def test_a_pod_that_was_deleted_before_it_rebooted_is_made_anew() -> None:
    kinds = [subject.split()[1] for subject in subjects(_facts(_op(), None))]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "Pod"]


def test_a_pod_that_was_evicted_before_it_rebooted_is_replaced() -> None:
    facts = _facts(_op(), {"phase": "Failed", "reason": "Evicted", "uid": "evicted"})
    (chain,) = plan(facts).chains
    assert [getattr(action, "uid", None) for action in chain] == ["evicted"]


def test_a_pod_that_ended_badly_because_it_rebooted_the_node_still_says_so() -> None:
    """Graceful node shutdown ends pods as Failed, with reason Terminated."""
    pod = {**_says(), "phase": "Failed", "reason": "Terminated"}
    assert _new(pod, boot_id=SECOND).outcome is Outcome.COMPLETED
    assert subjects(_facts(_op(), pod)) == []


def test_one_that_is_going_is_waited_for() -> None:
    assert subjects(_facts(_op(), {"phase": "Failed", "deleting_since": at(3)})) == []


def test_what_holds_the_reboot_pod_up_is_said() -> None:
    stuck = {"containers": (ContainerView("reboot", waiting="ImagePullBackOff: denied"),)}
    assert "ImagePullBackOff: denied" in (_new(stuck).message or "")


def test_a_proven_reboot_goes_to_the_postflight() -> None:
    of = _op(postflight={"command": ["check"]})
    new = after(_facts(of, _says(), boot_id=SECOND)).nodes["n1"]
    assert (new.step, new.reboot_status) == (Step.POSTFLIGHT, RebootStatus.COMPLETED)


def test_no_job_is_looked_at_any_more() -> None:
    """The Job was complete when the step was stored; that it is gone since (a TTL, a person) is no failure."""
    of = _op()
    facts = replace(_facts(of, _says(), boot_id=SECOND), jobs={})
    assert after(facts).nodes["n1"].outcome is Outcome.COMPLETED


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_whole_reboot(forgetful: bool) -> None:
    story = Rollout.of(op(cordon=True, reboot_on_success=True), node(), forgetful=forgetful).run()
    entry = story.status.nodes["n1"]
    assert (entry.outcome, entry.reboot_status) == (Outcome.COMPLETED, RebootStatus.COMPLETED)
    assert story.nodes["n1"].boot_id == SECOND
    assert not story.nodes["n1"].unschedulable


def test_a_view_from_before_the_boot_that_was_ended_is_no_proof() -> None:
    """A cache that is behind shows another boot, too: the one before."""
    facts = _facts(_op(), _says(), boot_id="n1-boot-0")
    assert {name: proof.ended for name, proof in said_to_be_back(facts).items()} == {"n1": FIRST}
    unsure = plan(replace(facts, seen_after=frozenset()))
    assert unsure.status is not None
    assert (unsure.status.nodes["n1"].step, unsure.recheck_after) == (Step.REBOOT, 0.0)
    assert unsure.status.nodes["n1"].message == "Rebooting: making sure that the node is back"
    assert after(facts).nodes["n1"].outcome is Outcome.COMPLETED


@pytest.mark.parametrize("lacking", ["pod", "boot", "ready"])
def test_only_a_node_that_seems_to_be_back_is_asked_about(lacking: str) -> None:
    pod: dict[str, Any] = {} if lacking == "pod" else _says()
    boot = FIRST if lacking == "boot" else SECOND
    assert said_to_be_back(_facts(_op(), pod, boot_id=boot, ready=lacking != "ready")) == {}


def test_the_boot_before_the_work_is_the_one_that_counts() -> None:
    """A node that waited for long may have rebooted since it got its slot."""
    claimed = op(records={"n1": record(Step.CLAIM, boot_id=FIRST)}, reboot_on_success=True, cordon=True)
    new = after(snapshot(claimed, replace(ours(claimed), boot_id=SECOND))).nodes["n1"]
    assert (new.step, new.boot_id) == (Step.JOB, SECOND)


def test_a_node_whose_reboot_is_not_stored_yet_is_asked_about_too() -> None:
    """Otherwise it would be looked at again and again until that is stored."""
    of = op(records={"n1": record(Step.JOB, job_uid="uid-of-job-n1")}, reboot_on_success=True, cordon=True)
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **_says())}
    back = replace(ours(of), boot_id=SECOND)
    facts = snapshot(of, back, pods=pods, jobs={"n1": job(of, complete=True)})
    assert {name: proof.ended for name, proof in said_to_be_back(facts).items()} == {"n1": FIRST}
    assert said_to_be_back(snapshot(of, back, pods=pods, jobs={"n1": job(of)})) == {}


def test_a_reboot_between_the_step_and_its_job_is_none_of_ours() -> None:
    of = op(records={"n1": record(Step.JOB, boot_id=FIRST)}, reboot_on_success=True, cordon=True)
    made = plan(snapshot(of, replace(ours(of), boot_id=SECOND)))
    assert made.status is not None
    assert (made.status.nodes["n1"].boot_id, made.urgent) == (SECOND, True)
