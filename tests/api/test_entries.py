"""Entries of a status are read once for the same words, and wrong ones are refused where they stand."""

from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from kairos_operator.api.status import NodeOpStatus, NodeOpUpgradeStatus, NodeStatus, Outcome, Step

DONE = {"phase": "Completed", "step": "Done", "outcome": "Completed", "message": "done"}


def test_the_same_words_give_the_same_value_also_in_the_mirror() -> None:
    mirror = NodeOpUpgradeStatus.model_validate({"nodeStatuses": {"n1": dict(DONE)}})
    found = NodeOpStatus.model_validate({"nodeStatuses": {"n1": dict(DONE), "n2": {**DONE, "message": "x"}}})
    assert found.nodes["n1"] is mirror.nodes["n1"]
    assert found.nodes["n2"] == NodeStatus.model_validate({**DONE, "message": "x"})


def test_what_the_go_operator_wrote_is_read_as_ever() -> None:
    found = NodeOpStatus.model_validate({"nodeStatuses": {"n1": {"phase": "Failed"}}}).nodes["n1"]
    assert (found.step, found.outcome) == (Step.DONE, Outcome.FAILED)


@pytest.mark.parametrize(
    "entry", [{**DONE, "phase": "Lost"}, {**DONE, "phase": ["Failed"]}, {"phase": ["Failed"]}, "Failed"]
)
def test_a_wrong_entry_is_refused_by_its_place(entry: object) -> None:
    with pytest.raises(ValidationError) as refused:
        NodeOpStatus.model_validate({"nodeStatuses": {"n1": DONE, "n2": entry}})
    assert refused.value.errors()[0]["loc"][:2] == ("nodeStatuses", "n2")


def test_a_copy_of_an_entry_leaves_those_alone_that_say_the_same_fields() -> None:
    told = {"n1": dict(DONE), "n2": {**DONE, "message": "x"}}
    found = NodeOpStatus.model_validate({"nodeStatuses": told}).nodes
    copy = found["n1"].model_copy(update={"job_name": "job"})
    assert copy.model_fields_set == found["n2"].model_fields_set | {"job_name"}
    assert found["n1"].render() == DONE


def test_what_there_are_thousands_of_takes_less_room_than_a_value_of_its_own() -> None:
    time = "2026-11-28T20:00:00Z"
    names = [f"n{number}" for number in range(100)]
    told = {name: {**DONE, "message": name, "lastUpdated": time, "startedAt": time} for name in names}
    found = NodeOpStatus.model_validate({"nodeStatuses": told}).nodes
    own = NodeStatus.model_validate(told["n99"])
    assert found["n99"] == own
    assert found["n99"].render() == told["n99"]
    assert found["n99"].started_at is found["n98"].last_updated
    assert 2 * sys.getsizeof(vars(found["n99"])) < sys.getsizeof(vars(own))


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_beyond_all_years_is_refused_as_any_wrong_value_is(time: str) -> None:
    """What cannot be read is left out with a word in the log; an error of another type would end the watch."""
    with pytest.raises(ValidationError, match="out of range"):
        NodeOpStatus.model_validate({"startedAt": time})
    with pytest.raises(ValidationError, match="out of range"):
        NodeOpStatus.model_validate({"nodeStatuses": {"n1": {**DONE, "lastUpdated": time}}})
