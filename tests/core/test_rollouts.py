"""Rollouts of every kind, played to their end: what must never happen does not, at any plan on the way."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeOpStatus, Outcome, Phase, Step
from kairos_operator.core.actions import Plan
from tests.core.cluster import Check
from tests.core.rollout import Rollout
from tests.core.world import control_plane, node, op, pod

FLAGS = st.booleans()
FATES = st.sampled_from(["good", "good", "skip", "preflight", "job", "postflight", "cordoned", "blocked"])
CHECK = st.sampled_from([None, {"command": ["check"]}])


@st.composite
def _rollouts(draw: st.DrawFn) -> tuple[Rollout, dict[str, str]]:
    cordon = draw(FLAGS)
    spec: dict[str, Any] = {
        "cordon": cordon,
        "drain_options": {"enabled": cordon and draw(FLAGS), "timeout_seconds": 20},
        "reboot_on_success": draw(FLAGS),
        "uncordon_on_failure": draw(FLAGS),
        "preflight": draw(CHECK),
        "postflight": draw(CHECK),
        "concurrency": draw(st.integers(0, 3)),
        "stop_on_failure": draw(FLAGS),
    }
    names = [f"n{index}" for index in range(draw(st.integers(1, 5)))]
    fates = {name: draw(FATES) for name in names}
    story = Rollout.of(
        op(**spec), *map(draw(st.sampled_from([node, control_plane])), names), forgetful=draw(FLAGS)
    )
    for name, fate in fates.items():
        if fate == "skip":
            story.checks["preflight", name] = Check("nothing to do")
        elif fate in ("preflight", "postflight"):
            story.checks[fate, name] = Check("bad", fails=True)
        elif fate == "job":
            story.job_failures[name] = "bad"
        elif fate == "cordoned":
            story.nodes[name] = node(name, unschedulable=True)
        elif fate == "blocked":
            story.pods[f"default/{name}"] = pod(name, node=name)
            story.budgets[f"default/{name}"] = "the budget forbids it"
    return story, fates


def _fails(of: NodeOp, fate: str) -> bool:
    """Whether a node of that fate fails, if it is started."""
    spec = of.spec
    asked = {"preflight": spec.preflight, "postflight": spec.postflight, "job": True, "blocked": spec.drains}
    return bool(asked.get(fate))


@settings(max_examples=60)
@given(_rollouts())
def test_what_must_never_happen_does_not(drawn: tuple[Rollout, dict[str, str]]) -> None:
    story, fates = drawn
    assert story.op is not None
    spec = story.op.spec
    limit = spec.concurrency or len(fates)

    def watch(made: Plan[NodeOpStatus]) -> None:
        status = made.status or story.status
        assert sum(one.in_flight for one in status.nodes.values()) <= limit
        assert not (story.phase and story.phase.final and made.status)

    story.before_apply = watch
    story.run()
    story.settle()
    jobs = [made for made in story.created if made.startswith("Job ")]
    assert len(jobs) == len(set(jobs)), "a Job was made twice"
    outcomes = {name: one.outcome for name, one in story.status.nodes.items()}
    for name, fate in fates.items():
        _check_node(story, name, fate, outcomes[name])
    failed = Outcome.FAILED in outcomes.values()
    assert story.phase is (Phase.FAILED if failed else Phase.COMPLETED)
    assert failed or None not in outcomes.values()


def _check_node(story: Rollout, name: str, fate: str, outcome: Outcome | None) -> None:
    assert story.op is not None
    spec, view, entry = story.op.spec, story.nodes[name], story.status.nodes[name]
    if outcome is None:
        assert entry.step is Step.WAITING
        assert spec.stop_on_failure
    elif fate == "skip" and spec.preflight:
        assert outcome is Outcome.SKIPPED
    else:
        assert (outcome is Outcome.FAILED) is _fails(story.op, fate)
    ran = f"Job {name}" in story.created
    assert (outcome is Outcome.COMPLETED) <= ran
    assert view.claimed_by == ""
    rebooted = view.boot_id != f"{name}-boot-1"
    assert rebooted is (spec.reboot_on_success and ran and fate != "job")
    kept = outcome is Outcome.FAILED and ran and spec.cordon and not spec.uncordon_on_failure
    assert view.unschedulable is (kept or fate == "cordoned")
    assert bool(view.cordoned_by) is (kept and fate != "cordoned")
