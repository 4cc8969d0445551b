"""What is remembered of refusals: what was said, and when the action may be tried again."""

from __future__ import annotations

import pytest

from kairos_operator.runtime.memory import EVICTION_RETRY_SECONDS, Memory


def _waits(times: int, at_least: float = 0.0) -> list[float]:
    memory, waits = Memory(), []
    for _ in range(times):
        memory.refuse("claim node n1", "forbidden", 100.0, at_least)
        waits.append(memory.refusals["claim node n1"].not_before - 100.0)
    return waits


def test_each_refusal_in_a_row_doubles_the_wait_up_to_a_limit() -> None:
    assert _waits(8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_refusal_that_lasts_for_days_is_still_tried_every_half_minute() -> None:
    assert _waits(20_000)[-1] == 30


@pytest.mark.parametrize(("at_least", "first", "later"), [(EVICTION_RETRY_SECONDS, 5, 30), (77, 77, 77)])
def test_a_wait_that_the_server_asks_for_is_kept(at_least: float, first: float, later: float) -> None:
    waits = _waits(9, at_least)
    assert (waits[0], waits[-1]) == (first, later)


def test_an_action_is_due_until_it_is_refused_and_again_when_its_time_has_come() -> None:
    memory = Memory()
    assert memory.due("evict a", 0.0)
    memory.refuse("evict a", "budget", 10.0)
    assert [memory.due("evict a", now) for now in (10.0, 10.9, 11.0)] == [False, False, True]
    assert memory.due("evict b", 10.0)


def test_an_action_that_goes_through_is_forgotten_and_begins_anew() -> None:
    memory = Memory()
    for _ in range(4):
        memory.refuse("evict a", "budget", 0.0)
    memory.forget("evict a")
    assert memory.messages() == {}
    memory.refuse("evict a", "budget", 0.0)
    assert memory.refusals["evict a"].not_before == 1.0


def test_forgetting_what_was_never_refused_is_nothing() -> None:
    memory = Memory()
    memory.forget("evict a")
    assert memory.messages() == {}


def test_what_decisions_read_is_the_last_word() -> None:
    memory = Memory()
    memory.refuse("evict a", "budget web", 0.0)
    memory.refuse("evict a", "budget shop", 1.0)
    memory.refuse("claim node n1", "forbidden", 1.0)
    assert memory.messages() == {"evict a": "budget shop", "claim node n1": "forbidden"}


def test_a_status_was_never_written_at_first() -> None:
    assert Memory().status_written == float("-inf")


def test_a_deletion_is_known_of_since_this_process_first_saw_it() -> None:
    memory = Memory()
    assert memory.deleting_for(5.0, deleting=False) == 0.0
    assert memory.deleting_for(7.0, deleting=True) == 0.0
    assert memory.deleting_for(17.0, deleting=True) == 10.0
