"""What is read of the metadata of an operation."""

from __future__ import annotations

import pytest

from kairos_operator.api.objects import parse_node_op


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [
        pytest.param({"operator.kairos.io/paused": "true"}, True, id="true"),
        pytest.param({"operator.kairos.io/paused": "false"}, False, id="false"),
        pytest.param({"operator.kairos.io/paused": ""}, False, id="empty"),
        pytest.param({"operator.kairos.io/paused": "True"}, False, id="another word"),
        pytest.param({}, False, id="none"),
        pytest.param(None, False, id="null"),
    ],
)
def test_only_true_pauses(annotations: dict[str, str] | None, paused: bool) -> None:
    meta = {"name": "op", "namespace": "default", "uid": "u", "annotations": annotations}
    assert parse_node_op({"metadata": meta, "spec": {"command": ["true"]}}).meta.paused is paused
