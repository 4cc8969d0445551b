"""A child that is not there is looked for once, until something is begun that may make it."""

from __future__ import annotations

from kairos_operator.api.names import Role
from kairos_operator.core.snapshot import ChildKey
from kairos_operator.runtime.absent import Absent

JOB, REBOOT, OTHER = ChildKey(Role.JOB, "a"), ChildKey(Role.REBOOT, "a"), ChildKey(Role.JOB, "b")


def _absent(*keys: ChildKey) -> Absent:
    absent = Absent()
    for key in keys:
        absent.found_none(key)
    return absent


def test_what_was_not_found_is_absent() -> None:
    assert [key in _absent(JOB) for key in (JOB, REBOOT, OTHER)] == [True, False, False]


def test_nothing_of_a_node_is_once_a_call_is_begun_there() -> None:
    absent = _absent(JOB, REBOOT, OTHER)
    absent.begin("a")
    assert [key in absent for key in (JOB, REBOOT, OTHER)] == [False, False, True]


def test_what_a_call_may_have_made_is_never_absent_again() -> None:
    absent = _absent(JOB)
    absent.begin("a")
    absent.found_none(JOB)
    absent.found_none(REBOOT)
    absent.clear()
    absent.found_none(JOB)
    assert JOB not in absent


def test_what_the_next_step_makes_is_absent_until_then() -> None:
    absent = _absent(ChildKey(Role.PREFLIGHT, "a"))
    absent.begin("a")
    absent.found_none(JOB)
    assert JOB in absent


def test_nodes_that_are_no_longer_in_flight_are_forgotten() -> None:
    absent = _absent(JOB, OTHER)
    absent.begin("a")
    absent.keep({"b"})
    absent.found_none(JOB)
    assert [key in absent for key in (JOB, OTHER)] == [True, True]


def test_another_leader_may_have_made_it() -> None:
    absent = _absent(JOB)
    absent.clear()
    assert JOB not in absent
