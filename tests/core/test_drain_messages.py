"""What is said of a drain that does not end."""

from __future__ import annotations

from datetime import datetime

import pytest

from kairos_operator.api.status import Step
from tests.core.test_drain import REFUSAL, _drained, _op
from tests.core.world import at, op, pod, record

_BLOCKED, _ENDING = f"default/web-1 cannot be evicted: {REFUSAL}", "waiting for default/web-1 to end"


@pytest.mark.parametrize(
    ("refused", "stored", "ends", "text"),
    [
        pytest.param(True, "", None, _BLOCKED, id="the budget"),
        pytest.param(False, f"Draining: {_BLOCKED}", None, _BLOCKED, id="the budget, before a restart"),
        pytest.param(False, "", None, _ENDING, id="the pod"),
        pytest.param(False, f"Draining: {_BLOCKED}", at(0), _ENDING, id="the pod, which ends at last"),
    ],
)
def test_the_timeout_says_what_blocked(
    *, refused: bool, stored: str, ends: datetime | None, text: str
) -> None:
    of = op(records={"n1": record(Step.DRAIN, message=stored)}, cordon=True, drain_options={"enabled": True})
    refusals = {"evict uid-of-web-1": REFUSAL} if refused else {}
    new = _drained(of, pod(deleting_since=ends), seconds=300, refusals=refusals)
    assert new.message == f"Drain failed: not done after 5 min; {text}"


def test_a_message_names_a_few_pods_and_counts_the_rest() -> None:
    new = _drained(_op(), *(pod(f"web-{index}") for index in range(9)))
    assert new.message is not None
    assert new.message.endswith("default/web-4 and 4 more to end")
