"""A node that rebooted by itself before: the reboot pod has ended a boot, the third, that its Node has never shown.

That another one is shown, the second, may be from before it: the kubelet runs pods before it says which boot it is in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kairos_operator.api.names import Role
from kairos_operator.api.status import Outcome, RebootStatus, Step
from kairos_operator.core.nodeop import plan
from kairos_operator.core.reboot import SETTLED_SECONDS, said_to_be_back
from kairos_operator.core.snapshot import ChildKey, Snapshot
from tests.core.world import after, job, op, ours, record, role_pod, snapshot, subjects

TIMEOUT = 1800
SECOND, THIRD = "n1-boot-2", "n1-boot-3"


def _facts(seconds: float = 0, **pod: Any) -> Snapshot:
    """What is seen of it; without a `pod` that is gone."""
    known = record(Step.REBOOT, reboot_status=RebootStatus.PENDING, rebooted_from=THIRD)
    of = op(records={"n1": known}, reboot_on_success=True, cordon=True)
    says = {"reboot_state": "completed", "reboot_boot_id": THIRD, **pod}
    pods = {ChildKey(Role.REBOOT, "n1"): role_pod(of, Role.REBOOT, **says)} if pod else {}
    there = replace(ours(of), boot_id=SECOND)
    facts = snapshot(of, there, seconds=seconds, pods=pods, jobs={"n1": job(of, complete=True)})
    return replace(facts, seen_after=frozenset())


def test_a_boot_that_may_be_an_earlier_one_proves_nothing() -> None:
    facts = _facts(phase="Running")
    new = after(facts).nodes["n1"]
    assert (new.step, new.outcome) == (Step.REBOOT, None)
    assert new.message == (
        "Rebooting: the node booted; waiting for the reboot pod to say that it was by this reboot"
    )
    assert (plan(facts).recheck_after, subjects(facts)) == (TIMEOUT, [])


def test_once_the_pod_has_ended_well_the_kubelet_is_given_time_to_show_its_boot() -> None:
    facts = _facts(phase="Succeeded")
    assert said_to_be_back(facts)["n1"].outlived
    assert (after(facts).nodes["n1"].step, plan(facts).recheck_after) == (Step.REBOOT, SETTLED_SECONDS)
    assert after(replace(facts, seen_after=frozenset({"n1"}))).nodes["n1"].outcome is Outcome.COMPLETED


def test_a_pod_that_cannot_tell_any_more_is_made_anew() -> None:
    """The marker on the host tells the new one that the node was rebooted, and from which boot."""
    assert subjects(_facts())[-1].startswith("create Pod ")
    (chain,) = plan(_facts(phase="Failed", reason="Terminated", uid="shut-down")).chains
    assert [getattr(action, "uid", None) for action in chain] == ["shut-down"]


def test_what_nothing_tells_in_time_fails_the_node() -> None:
    new = after(_facts(TIMEOUT, phase="Running")).nodes["n1"]
    assert new.outcome is Outcome.FAILED
    assert new.message == (
        "Reboot failed: not back after 30 min: the node's bootID changed, but may have before its reboot: "
        "the reboot pod has not said since"
    )
