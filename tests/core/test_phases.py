"""A node's steps: every pair of them is either in the table of legal ones or refused."""

from __future__ import annotations

from itertools import product

import pytest

from kairos_operator.api.status import NodePhase, Outcome, Step
from kairos_operator.core.phases import LEGAL, IllegalStep, entered, phase_of
from tests.core.world import at, record

ORDER = list(Step)
# Written out a second time, so that a slip in the table shows.
LEGAL_PAIRS = {
    "Waiting": "Preflight Claim Job Done",
    "Preflight": "Claim Job Done",
    "Claim": "Drain Job Release",
    "Drain": "Job Release",
    "Job": "Reboot Postflight Release",
    "Reboot": "Postflight Release",
    "Postflight": "Release",
    "Release": "Done",
    "Done": "",
}


@pytest.mark.parametrize(
    ("before", "then"), [pytest.param(a, b, id=f"{a}-{b}") for a, b in product(Step, Step)]
)
def test_a_step_follows_only_where_the_table_says_so(before: Step, then: Step) -> None:
    if then.value in LEGAL_PAIRS[before.value].split():
        new = entered(record(before), then, at(7), {"message": "why"})
        assert (new.step, new.step_started_at, new.message) == (then, at(7), "why")
    else:
        with pytest.raises(IllegalStep, match=f"{before} -> {then}"):
            entered(record(before), then, at(7), {})


def test_steps_lead_forward_only() -> None:
    assert all(ORDER.index(then) > ORDER.index(before) for before, after in LEGAL.items() for then in after)


def test_what_took_a_node_is_given_back() -> None:
    """From the claim on, a node is Done only by way of its release."""
    held = [Step.CLAIM, Step.DRAIN, Step.JOB, Step.REBOOT, Step.POSTFLIGHT]
    assert all(Step.DONE not in LEGAL[step] for step in held)


@pytest.mark.parametrize(
    ("step", "outcome", "phase"),
    [
        (Step.WAITING, None, NodePhase.PENDING),
        (Step.PREFLIGHT, None, NodePhase.PREFLIGHT),
        *((step, None, NodePhase.RUNNING) for step in ORDER[2:8]),
        (Step.RELEASE, Outcome.FAILED, NodePhase.RUNNING),
        (Step.DONE, Outcome.COMPLETED, NodePhase.COMPLETED),
        (Step.DONE, Outcome.SKIPPED, NodePhase.COMPLETED),
        (Step.DONE, Outcome.FAILED, NodePhase.FAILED),
    ],
)
def test_the_phase_that_users_see(step: Step, outcome: Outcome | None, phase: NodePhase) -> None:
    assert phase_of(step, outcome) is phase
