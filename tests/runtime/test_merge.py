"""A merge patch turns what is stored into what is wanted, and says nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from kairos_operator.api.conditions import Condition
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Phase, Step, Summary
from kairos_operator.runtime.merge import difference, status_difference
from tests.core.world import at

VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(0, 2), st.text("ab", max_size=2), st.lists(st.integers(0, 2), max_size=2)
    ),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@limits(deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_patch_turns_the_old_into_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merged(old, difference(old, new)) == new


@limits(deadline=None)
@given(OBJECTS)
def test_what_did_not_change_is_not_said(value: dict[str, Any]) -> None:
    assert difference(value, value) == {}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {}}, {"a": {}}),
    ],
)
def test_differences(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert difference(old, new) == patch


RECORDS = st.builds(
    NodeStatus,
    step=st.sampled_from(Step),
    message=st.sampled_from([None, "", "said"]),
    job_uid=st.sampled_from([None, "uid"]),
    step_started_at=st.sampled_from([None, at(0), at(1)]),
)
CONDITIONS = st.lists(
    st.builds(
        Condition,
        type=st.sampled_from(["Failed", "Complete"]),
        status=st.sampled_from(["True", "False"]),
        reason=st.just("R"),
        lastTransitionTime=st.sampled_from([at(0), at(1)]),  # by its alias: else one is made up beside it
    ),
    max_size=2,
)
STATUSES = st.builds(
    NodeOpStatus,
    phase=st.sampled_from([None, *Phase]),
    message=st.sampled_from([None, "said"]),
    node_statuses=st.one_of(st.none(), st.dictionaries(st.sampled_from("abc"), RECORDS, max_size=3)),
    summary=st.sampled_from([None, Summary(), Summary(total=2)]),
    conditions=st.one_of(st.none(), CONDITIONS),
)


@limits(deadline=None, max_examples=60)
@given(STATUSES, STATUSES)
def test_a_statuss_patch_turns_the_old_into_the_new(old: NodeOpStatus, new: NodeOpStatus) -> None:
    assert merged(old.render(), status_difference(old, new)) == new.render()


def test_only_the_nodes_that_changed_are_said_and_of_them_only_what_changed() -> None:
    same, before = NodeStatus(message="same"), NodeStatus(message="before", job_name="job")
    old = NodeOpStatus(node_statuses={"a": same, "b": before})
    new = NodeOpStatus(node_statuses={"a": same, "b": before.model_copy(update={"message": "after"})})
    assert status_difference(old, new) == {"nodeStatuses": {"b": {"message": "after"}}}


def test_a_time_of_another_microsecond_is_no_difference() -> None:
    """The API keeps whole seconds: what it has stored already need not be said again."""
    old = NodeOpStatus(node_statuses={"a": NodeStatus(last_updated=at(0))})
    finer = old.nodes["a"].model_copy(update={"last_updated": at(0.5)})
    assert status_difference(old, NodeOpStatus(node_statuses={"a": finer})) == {}
