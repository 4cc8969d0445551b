"""The reboot pod stands before the Job does, is replaced where it is lost, and is never somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.cluster import JobView, PodView
from kairos_operator.api.names import Role
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import RebootStatus, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.rollout import Rollout
from tests.core.world import after, at, job, node, op, ours, owner, record, role_pod, snapshot, subjects


def _op(**spec: Any) -> NodeOp:
    return op(records={"n1": record(Step.JOB)}, **spec)


def _facts(of: NodeOp, found: JobView | None = None, **facts: Any) -> Snapshot:
    return snapshot(of, facts.pop("view", None) or node(), jobs={"n1": found} if found else {}, **facts)


def _reboot_pod(of: NodeOp, **facts: Any) -> dict[ChildKey, PodView]:
    return {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **facts)}


def _creates(facts: Snapshot) -> list[str]:
    return [subject.rpartition(" ")[0].removeprefix("create ") for subject in subjects(facts)]


def test_the_reboot_pod_and_its_rights_are_made_before_the_job() -> None:
    of = _op(reboot_on_success=True)
    (chain,) = plan(_facts(of)).chains
    kinds = [action.subject.split()[1] for action in chain]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "Pod", "Job"]


def test_where_the_reboot_pod_stands_only_the_job_is_made() -> None:
    of = _op(reboot_on_success=True)
    assert _creates(_facts(of, pods=_reboot_pod(of))) == ["Job"]


def test_a_reboot_pod_that_is_lost_while_the_job_runs_is_made_anew() -> None:
    of = _op(reboot_on_success=True)
    assert _creates(_facts(of, job(of))) == ["ServiceAccount", "Role", "RoleBinding", "Pod"]
    assert subjects(_facts(of, job(of), pods=_reboot_pod(of, phase="Failed", reason="Evicted")))[
        0
    ].startswith("delete")


@pytest.mark.parametrize("facts", [{"phase": "Failed"}, {"phase": "Succeeded"}, {"deleting_since": at(5)}])
def test_no_job_starts_before_its_reboot_pod_can_be_trusted(facts: dict[str, Any]) -> None:
    of = _op(reboot_on_success=True)
    assert "Job" not in _creates(_facts(of, pods=_reboot_pod(of, **facts)))


@pytest.mark.parametrize("there", [True, False], ids=["Job there", "no Job yet"])
def test_a_foreign_reboot_pod_fails_the_node(there: bool) -> None:
    of = _op(reboot_on_success=True)
    facts = _facts(of, job(of) if there else None, pods=_reboot_pod(of, owner=None), view=ours(of))
    assert "is not this NodeOp's" in (after(facts).nodes["n1"].message or "")
    assert all("Pod" not in subject for subject in subjects(facts))


def test_an_operation_without_a_reboot_makes_no_reboot_pod() -> None:
    story = Rollout.of(op(), node()).run()
    assert story.created == ["Job n1"]
    assert story.status.nodes["n1"].reboot_status is RebootStatus.NOT_REQUESTED


def test_every_child_is_the_operations() -> None:
    story = Rollout.of(op(cordon=True, reboot_on_success=True), node()).run()
    found = [one.owner for one in story.jobs.values()] + [one.owner for one in story.pods.values()]
    assert set(found) == {owner(op())}
