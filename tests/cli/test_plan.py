"""What a forecast says of an operation: the order, the batches, and what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kairos_operator.api.cluster import NodeView, PodView
from kairos_operator.api.resources import NODE_OPS
from kairos_operator.api.selectors import LabelSelector
from kairos_operator.cli.budgets import Budget
from kairos_operator.cli.exits import Trouble
from kairos_operator.cli.forecast import Forecast, Gravity, Ground, data, shown_version
from kairos_operator.cli.operations import Operation
from kairos_operator.cli.plan import extent, manifests
from kairos_operator.cli.remarks import forecast
from tests.cli.values import IMAGE, NOW, ago, done, flying, node, operation, pod, waiting

VERSION = "v3.5.0-k3sv1.33.1-k3s1"
WEB = LabelSelector(match_labels={"app": "web"})
WORKERS = {name: node(name) for name in ("w-1", "w-2", "w-3")}
PLANES = {name: node(name, control_plane=True) for name in ("cp-1", "cp-2", "cp-3")}
EVERYONE = PLANES | WORKERS
FORCED = {"force": True, "concurrency": 1}


def ground(nodes: dict[str, NodeView] | None = None, **more: Any) -> Ground:
    return Ground(nodes=EVERYONE if nodes is None else nodes, **more)


def budget(allowed: int, name: str = "web") -> Budget:
    return Budget("shop", name, WEB, allowed, healthy=2, desired=2)


def batches(found: Forecast) -> list[list[str]]:
    last = max((turn.batch for turn in found.turns), default=0)
    return [[turn.node for turn in found.turns if turn.batch == number] for number in range(1, last + 1)]


def texts(found: Forecast, gravity: Gravity) -> list[str]:
    return [remark.text for remark in found.remarks if remark.gravity is gravity]


def test_the_order_is_the_rollouts() -> None:
    found = forecast(operation(phase=None, concurrency=2), ground(), NOW)
    assert batches(found) == [["cp-1", "cp-2"], ["cp-3", "w-1"], ["w-2", "w-3"]]
    assert batches(forecast(operation(phase=None), ground(), NOW)) == [[*PLANES, *WORKERS]]


def test_who_has_the_version_is_likely_skipped_and_takes_no_slot() -> None:
    versions = {"w-1": VERSION, "w-2": "v3.4.2-k3sv1.33.1-k3s1"}
    found = forecast(operation(phase=None, concurrency=1), ground(WORKERS, versions=versions), NOW)
    assert [turn.expected for turn in found.turns] == ["likely skipped", "work", "work"]
    assert batches(found) == [["w-1", "w-2"], ["w-3"]]
    assert any("1 of 3 nodes seem to have the image's version" in text for text in texts(found, Gravity.NOTE))


@pytest.mark.parametrize(
    "spec", [{"force": True}, {"upgradeRecovery": True}, {"image": "quay.io/kairos/x:other"}]
)
def test_nobody_is_skipped_by_force_with_recovery_or_by_another_tag(spec: dict[str, Any]) -> None:
    versions = dict.fromkeys(WORKERS, VERSION)
    found = forecast(operation(phase=None, **spec), ground(WORKERS, versions=versions), NOW)
    assert {turn.expected for turn in found.turns} == {"work"}


def test_a_version_is_read_as_the_labeler_writes_it() -> None:
    labels = {"kairos.io/software-version": "v1.33.1-k3s1", "kairos.io/software-version-prefix": "k3s"}
    assert shown_version(labels, {"kairos.io/version": "v3.5.0"}) == VERSION
    assert IMAGE.endswith(VERSION)
    assert shown_version(labels, {}) == shown_version({}, {"kairos.io/version": "v3.5.0"}) == ""


def test_of_an_operation_under_way_only_the_rest_is_told() -> None:
    records = {"cp-1": done(60), "w-1": flying("Job"), "w-2": waiting(), "w-3": waiting()}
    found = forecast(operation(records, concurrency=2), ground(), NOW)
    assert batches(found) == [["w-2"], ["w-3"]]
    assert extent(found) == "2 nodes still to come, 2 at a time, in 2 batches if all take the same time"


def test_what_waits_for_a_free_slot_is_told_so() -> None:
    records = {"w-1": flying("Drain"), "w-2": waiting()}
    found = forecast(operation(records, concurrency=1), ground(), NOW)
    told = "1 node still to come, 1 at a time, in 1 batch if all take the same time, after what is in flight"
    assert extent(found) == told


def test_a_drain_that_is_blocked_now_stands_against_the_rest() -> None:
    blocked = {
        "lastTransitionTime": ago(9),
        "type": "DrainBlocked",
        "status": "True",
        "message": "shop/web-1 on w-1: no",
        "reason": "EvictionRefused",
    }
    records = {"w-1": flying("Drain"), "w-2": waiting()}
    found = forecast(operation(records, status={"conditions": [blocked]}), ground(), NOW)
    assert found.stopped
    assert any("shop/web-1 on w-1: no" in text for text in texts(found, Gravity.STOPS))
    over = {**blocked, "status": "False"}
    assert not forecast(operation(records, status={"conditions": [over]}), ground(), NOW).stopped


def node_op(**spec: Any) -> Operation:
    return operation(phase=None, resource=NODE_OPS, **spec)


def upgrade(**spec: Any) -> Operation:
    return operation(phase=None, **{**FORCED, **spec})


ON_W1 = (pod("web-1", "w-1"), pod("web-2", "w-1"))
LONE = pod("debug", "w-1", owner="")
AGENT = pod("agent", "w-1", owner="DaemonSet")
CORDONED = node("w-1", unschedulable=True)
HELD = node("w-1", claimed_by="default/other@u-9")
DRAIN_ALL = {"cordon": True, "drainOptions": {"enabled": True, "ignoreDaemonSets": False}}

CASES: list[tuple[Gravity, str, Operation, Ground]] = [
    (Gravity.STOPS, "budget shop/web allows no eviction now (2 healthy, 2 needed): shop/web-1, shop/web-2 on w-1",
     upgrade(), ground(pods=ON_W1, budgets=(budget(0),))),
    (Gravity.STOPS, "budget shop/web allows no eviction now (not counted yet)",
     upgrade(), ground(pods=ON_W1, budgets=(replace(budget(1), counted=False),))),
    (Gravity.STOPS, "budgets shop/web and shop/web2 cover the same pods",
     upgrade(), ground(pods=ON_W1, budgets=(budget(1), budget(1, "web2")))),
    (Gravity.STOPS, "shop/agent on w-1 stops the drain", node_op(**DRAIN_ALL), ground(pods=(AGENT,))),
    (Gravity.STOPS, "no node matches the nodeSelector",
     upgrade(nodeSelector={"matchLabels": {"no": "such"}}), ground()),
    (Gravity.STOPS, "not Ready now: w-1", upgrade(), ground({"w-1": node("w-1", ready=False)})),
    (Gravity.STOPS, "w-1 is held by NodeOp default/other", upgrade(), ground({"w-1": HELD})),
    (Gravity.STOPS, "it is paused",
     operation(phase=None, metadata={"annotations": {"operator.kairos.io/paused": "true"}}), ground()),
    (Gravity.RISK, "all 3 control-plane nodes at once would reboot", upgrade(concurrency=3), ground()),
    (Gravity.RISK, "2 of 3 control-plane nodes would reboot at once", upgrade(concurrency=2), ground()),
    (Gravity.RISK, "all 3 schedulable nodes would be drained at once", upgrade(concurrency=0), ground(WORKERS)),
    (Gravity.RISK, "they end with the reboot and do not come back: shop/debug", upgrade(), ground(pods=(LONE,))),
    (Gravity.RISK, "careful", upgrade(), ground(warnings=("careful",))),
    (Gravity.NOTE, "the only control-plane node would reboot", upgrade(), ground({"cp-1": PLANES["cp-1"], **WORKERS})),
    (Gravity.NOTE, "there is one schedulable node", upgrade(), ground({"cp-1": PLANES["cp-1"]})),
    (Gravity.NOTE, "the operator itself runs on w-2 (batch 5)", upgrade(), ground(operator_node="w-2")),
    (Gravity.NOTE, "cordoned by somebody already", upgrade(), ground({"w-1": CORDONED})),
    (Gravity.NOTE, "the nodes do not say their versions", upgrade(), ground()),
    (Gravity.NOTE, "you may not list the pods", upgrade(), ground(pods=None)),
    (Gravity.NOTE, "you may not list PodDisruptionBudgets", upgrade(), ground(pods=ON_W1, budgets=None)),
    (Gravity.NOTE, "other operations are at work, and the drains wait for them: shop/scan-1",
     upgrade(), ground(pods=(pod("scan-1", "w-1", owner="Job", node_op="scan"),))),
    (Gravity.NOTE, "2 pods would be evicted", upgrade(), ground(pods=ON_W1, budgets=(budget(1),))),
]  # fmt: skip


@pytest.mark.parametrize(("gravity", "text", "made", "known"), CASES, ids=[case[1][:40] for case in CASES])
def test_what_there_is_to_know_is_said(gravity: Gravity, text: str, made: Operation, known: Ground) -> None:
    found = forecast(made, known, NOW)
    assert [one for one in texts(found, gravity) if text in one]
    assert found.stopped is (gravity is Gravity.STOPS)


QUIET: list[tuple[str, Operation, Ground]] = [
    ("eviction", upgrade(), ground(pods=ON_W1, budgets=(budget(1),))),
    ("eviction now", upgrade(), ground(pods=(pod("new", "w-1", phase="Pending"),), budgets=(budget(0),))),
    ("eviction now", upgrade(), ground(pods=(pod("x", "w-1", labels={}),), budgets=(budget(0),))),
    ("eviction now", upgrade(), ground(pods=(pod("x", "elsewhere"),), budgets=(budget(0),))),
    ("eviction now", node_op(), ground(pods=ON_W1, budgets=(budget(0),))),
    ("quorum", upgrade(), ground()),
    ("control-plane", node_op(concurrency=0), ground()),
    ("operator itself", upgrade(), ground(operator_node="")),
]


@pytest.mark.parametrize(("text", "made", "known"), QUIET)
def test_what_is_no_danger_is_not_made_one(text: str, made: Operation, known: Ground) -> None:
    found = forecast(made, known, NOW)
    grave = [*texts(found, Gravity.STOPS), *texts(found, Gravity.RISK)]
    assert not [one for one in grave if text in one]


def test_the_gravest_comes_first_and_the_data_says_the_same() -> None:
    known: tuple[PodView, ...] = (*ON_W1, LONE)
    found = forecast(upgrade(), ground(pods=known, budgets=(budget(0),)), NOW)
    told = data(found)
    gravities = [one["gravity"] for one in told["remarks"]]
    assert gravities == sorted(gravities, key=["stops", "risk", "note"].index)
    assert told["nodes"][0] == {
        "name": "cp-1",
        "role": "control plane",
        "batch": 1,
        "version": "",
        "expected": "work",
    }


MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: operator.kairos.io/v1alpha1
kind: NodeOp
metadata: {generateName: run-}
spec: {command: [df]}
"""


def test_a_manifest_is_read_with_its_defaults_and_others_are_passed_over() -> None:
    (found,) = manifests(MANIFEST, "edge")
    assert (found.meta.name, found.meta.namespace) == ("run-", "edge")
    assert found.raw["spec"]["image"] == "busybox:latest"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1"),
        ("a: b", "no NodeOp or NodeOpUpgrade"),
        (MANIFEST.replace("NodeOp", "Nope"), "'Nope' is not known"),
        (MANIFEST.replace("[df]", "[]"), "spec.command"),
        (MANIFEST.replace("[df]", "[df], comand: [y]"), "spec.comand"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_with_its_fault(text: str, says: str) -> None:
    with pytest.raises(Trouble, match=says):
        manifests(text, "default")
