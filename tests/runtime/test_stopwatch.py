"""Deadlines count what has passed, also where somebody sets the clock meanwhile."""

from __future__ import annotations

import pytest

from kairos_operator.api.status import Step
from kairos_operator.runtime.stopwatch import Stopwatch
from tests.core.world import at, record

AT_WORK = {"n1": record(Step.DRAIN, step_started_at=at(0))}


@pytest.mark.parametrize(
    ("wall", "elapsed"),
    [
        pytest.param((0, 60), (0, 60), id="a right clock"),
        pytest.param((0, 3660), (0, 60), id="set forward in between"),
        pytest.param((0, -3540), (0, 60), id="set back in between"),
        pytest.param((100, 160), (100, 160), id="first seen after a restart"),
        pytest.param((100, 7360), (100, 160), id="and then set forward"),
        pytest.param((-7200, -7140), (0, 60), id="begun by a clock that was ahead"),
    ],
)
def test_what_this_process_sees_counts_by_its_monotonic_clock(
    wall: tuple[float, float], elapsed: tuple[float, float]
) -> None:
    watch = Stopwatch()
    for when, monotonic, passed in zip(wall, (500, 560), elapsed, strict=True):
        assert watch.read(["n1"], AT_WORK, at(when), monotonic) == {"n1": passed}


def test_another_step_begins_anew() -> None:
    watch = Stopwatch()
    watch.read(["n1"], AT_WORK, at(0), 500)
    later = {"n1": record(Step.JOB, step_started_at=at(50))}
    assert watch.read(["n1"], later, at(50), 550) == {"n1": 0}
    assert watch.read(["n1"], later, at(60), 560) == {"n1": 10}


def test_a_step_counts_from_its_decision_though_the_clock_is_set_before_it_is_stored() -> None:
    watch = Stopwatch()
    watch.read(["n1"], AT_WORK, at(0), 500)
    later = {"n1": record(Step.JOB, step_started_at=at(50.25))}
    stored = {"n1": record(Step.JOB, step_started_at=at(50))}
    watch.begin(later, at(50.25), 550)
    watch.begin(later, at(50.75), 550.5)
    assert watch.read(["n1"], AT_WORK, at(3651), 551) == {"n1": 51}, "it is not stored yet"
    assert watch.read(["n1"], stored, at(3652), 552) == {"n1": 2.25}
    watch.read([], {}, at(3652), 552)
    assert watch.read(["n1"], stored, at(3652), 552) == {"n1": 3602}, "first seen, as after a restart"


def test_a_deadline_that_is_due_is_not_a_hair_away() -> None:
    """A look that is due in 1e-13 s is made at once, without an end where the clock has no such steps."""
    watch = Stopwatch()
    begin, limit = 255.069, 60.0
    assert begin + limit - begin < limit, "in floating point"
    watch.read(["n1"], AT_WORK, at(0), begin)
    assert watch.read(["n1"], AT_WORK, at(60), begin + limit) == {"n1": limit}


def test_a_node_that_is_no_longer_in_flight_is_forgotten() -> None:
    watch = Stopwatch()
    watch.read(["n1"], AT_WORK, at(0), 500)
    assert watch.read([], AT_WORK, at(10), 510) == {}
    assert watch.read(["n1", "gone"], AT_WORK, at(20), 900) == {"n1": 20}
