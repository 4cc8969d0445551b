"""An operation runs once: what an update may and may not do before, during and after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhooks.asking import DOORS, PHASES, ask, refused
from tests.webhooks.objects import Object, in_phase, node_op, patch_in, upgrade
from webhooks.review import Door, Knowledge, mutate


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("make", [node_op, upgrade])
@pytest.mark.parametrize("phase", [None, "", "Pending"])
def test_before_the_start_a_spec_may_be_corrected(door: Door, make: Any, phase: str | None) -> None:
    old = make() | ({"status": {"phase": phase}} if phase is not None else {})
    assert refused(door, make(concurrency=3), old) == ""
    assert "spec.concurrency" in refused(door, make(concurrency=-3), old)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("make", [node_op, upgrade])
@pytest.mark.parametrize("phase", PHASES)
def test_after_the_start_no_spec_change_passes(door: Door, make: Any, phase: str) -> None:
    old = in_phase(make(concurrency=1), phase)
    new = in_phase(make(concurrency=2), phase)
    said = refused(door, new, old)
    name = old["metadata"]["name"]
    assert f'{old["kind"]} "{name}" has started at 2026-05-04T03:02:01Z' in said
    assert f'"generateName: {name}-"' in said
    assert "kubectl create -f" in said
    assert {"running", "completed", "failed"} & set(said.replace(".", "").split())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_finished_object_is_not_restarted_by_a_status_in_the_update(door: Door, phase: str) -> None:
    old = in_phase(node_op(concurrency=1), phase)
    assert refused(door, in_phase(node_op(concurrency=2), "Pending"), old)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"a": "b"}},
        {"annotations": {"operator.kairos.io/paused": "true"}},
        {"finalizers": []},
        {"ownerReferences": [{"kind": "NodeOpUpgrade", "name": "x", "uid": "y"}]},
    ],
)
def test_after_the_start_metadata_stays_editable(door: Door, phase: str, metadata: Object) -> None:
    old = in_phase(node_op(), phase)
    new = old | {"metadata": old["metadata"] | metadata}
    response = ask(door, new, old)["response"]
    assert response == {"uid": response["uid"], "allowed": True} or "patch" in response


@pytest.mark.parametrize("door", DOORS)
def test_metadata_of_an_object_that_today_would_be_refused_stays_editable(door: Door) -> None:
    old = in_phase(node_op(image="a b"), "Completed")
    assert refused(door, old | {"metadata": old["metadata"] | {"labels": {"a": "b"}}}, old) == ""


def test_leaving_out_the_image_of_a_started_operation_means_the_one_it_started_with() -> None:
    """kubectl replace with the file that the object was made from."""
    old = in_phase(node_op(image="busybox:1", preflight={"command": ["x"], "image": "busybox:1"}), "Running")
    new = in_phase(node_op(preflight={"command": ["x"]}), "Running")
    del new["spec"]["image"]
    response = ask(mutate, new, old, Knowledge(default_image="busybox:2"))
    images = {op["path"]: op["value"] for op in patch_in(response) if op["path"].endswith("/image")}
    assert images == {"/spec/image": "busybox:1", "/spec/preflight/image": "busybox:1"}


def test_an_operation_that_started_without_an_image_is_given_none() -> None:
    """It was made while no webhook ran; filling in now would be a change of its spec."""
    old = in_phase(node_op(), "Running")
    del old["spec"]["image"]
    response = ask(mutate, old | {"metadata": {"name": "op", "labels": {"a": "b"}}}, old)
    assert response["response"]["allowed"]
    assert not [op for op in patch_in(response) if op["path"].endswith("/image")]
