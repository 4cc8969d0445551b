"""Which nodes a selector picks: the semantics of apimachinery's labels.Requirement."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.selectors import LabelSelector
from tests.core.world import after, node, op, snapshot


def _expression(operator: str, *values: str, key: str = "role") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        pytest.param({}, {}, True, id="an empty one matches all"),
        pytest.param({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True, id="label there"),
        pytest.param({"matchLabels": {"a": "1"}}, {"a": "2"}, False, id="label with another value"),
        pytest.param({"matchLabels": {"a": "1"}}, {}, False, id="label missing"),
        pytest.param({"matchLabels": {"a": ""}}, {}, False, id="an empty value is not a missing label"),
        pytest.param({"matchLabels": {"a": ""}}, {"a": ""}, True, id="empty value"),
        pytest.param({"matchLabels": {"a": "1", "b": "2"}}, {"a": "1"}, False, id="all labels must match"),
        pytest.param(_expression("In", "x", "y"), {"role": "y"}, True, id="In"),
        pytest.param(_expression("In", "x", "y"), {"role": "z"}, False, id="In, another value"),
        pytest.param(_expression("In", "x"), {}, False, id="In, missing"),
        pytest.param(_expression("NotIn", "x"), {"role": "z"}, True, id="NotIn"),
        pytest.param(_expression("NotIn", "x"), {"role": "x"}, False, id="NotIn, that value"),
        pytest.param(_expression("NotIn", "x"), {}, True, id="NotIn matches where the key is missing"),
        pytest.param(_expression("Exists"), {"role": ""}, True, id="Exists"),
        pytest.param(_expression("Exists"), {}, False, id="Exists, missing"),
        pytest.param(_expression("DoesNotExist"), {}, True, id="DoesNotExist"),
        pytest.param(_expression("DoesNotExist"), {"role": ""}, False, id="DoesNotExist, there"),
        pytest.param(
            {"matchLabels": {"a": "1"}, **_expression("Exists")},
            {"a": "1"},
            False,
            id="labels and expressions",
        ),
    ],
)
def test_a_selector_matches(selector: dict[str, Any], labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(labels) is matches


def test_without_a_selector_every_node_is_meant() -> None:
    assert after(snapshot(op(), node("a"), node("b"))).nodes.keys() == {"a", "b"}


def test_only_the_selected_nodes_are_targets() -> None:
    chosen = node("a", labels={"kairos.io/managed": "true"})
    selector = {"matchLabels": {"kairos.io/managed": "true"}}
    assert after(snapshot(op(node_selector=selector), chosen, node("b"))).nodes.keys() == {"a"}
