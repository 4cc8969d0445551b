"""The kubelet model: what becomes of a pod, by the rules of the pod lifecycle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.sandbox.fleet import NodeSpec, Outcome, Reboot, Rule
from tests.sandbox.fleet_bench import Bench


def spec(
    policy: str = "Never", inits: tuple[str, ...] = (), mains: tuple[str, ...] = ("main",), **more: Any
) -> dict[str, Any]:
    def container(name: str) -> dict[str, Any]:
        return {"name": name, "image": f"image-of-{name}", "command": ["true"]}

    return {
        "nodeName": "n",
        "restartPolicy": policy,
        "initContainers": [container(name) for name in inits],
        "containers": [container(name) for name in mains],
        **more,
    }


def node(*rules: Rule, reboot: Reboot | None = None) -> NodeSpec:
    return NodeSpec("n", rules=rules, reboot=reboot or Reboot())


def fails(container: str, times: int | None = None, code: int = 3) -> Rule:
    return Rule(Outcome(exit_code=code, message="broken"), container=container, times=times)


HANGS = Rule(Outcome(hangs=True), container="main")


def test_containers_run_after_the_init_containers_in_order() -> None:
    bench = Bench(node())
    bench.bind(spec(inits=("first", "second")))
    bench.run(60)
    started = [record.container for record in bench.journal.of("n", "start")]
    assert started == ["first", "second", "main"]
    assert list(dict.fromkeys(bench.phases)) == ["Pending", "Running", "Succeeded"]


@pytest.mark.parametrize(
    ("policy", "times", "phase", "runs"),
    [
        ("Never", None, "Failed", 1),
        ("OnFailure", 2, "Succeeded", 3),
        ("OnFailure", None, "Running", 5),
        ("Always", 0, "Running", 5),
    ],
)
def test_restart_policies(policy: str, times: int | None, phase: str, runs: int) -> None:
    bench = Bench(node(fails("main", times)))
    bench.bind(spec(policy))
    bench.run(80)
    assert bench.status()["phase"] == phase
    assert len(bench.journal.of("n", "start")) == runs
    assert bench.container("main")["restartCount"] == runs - 1


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    bench = Bench(node(fails("setup")))
    bench.bind(spec(inits=("setup",)))
    bench.run(60)
    assert bench.status()["phase"] == "Failed"
    assert bench.container("setup")["state"]["terminated"]["message"] == "broken"
    assert "waiting" in bench.container("main")["state"]


def test_crash_loops_back_off_longer_and_longer() -> None:
    bench = Bench(node(fails("main")))
    bench.bind(spec("Always"))
    bench.run(600)
    starts = [record.time for record in bench.journal.of("n", "start")]
    gaps = [round((later - earlier).total_seconds()) for earlier, later in pairwise(starts)]
    assert gaps[:5] == [1, 11, 21, 41, 81]
    assert bench.container("main")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert bench.container("main")["lastState"]["terminated"]["exitCode"] == 3


def test_the_deadline_fails_a_pod_that_hangs() -> None:
    bench = Bench(node(HANGS))
    bench.bind(spec("OnFailure", activeDeadlineSeconds=120))
    bench.run(119)
    assert bench.status()["phase"] == "Running"
    bench.run(2)
    assert bench.status()["phase"] == "Failed"
    assert bench.status()["reason"] == "DeadlineExceeded"


def test_an_image_that_cannot_be_pulled_waits_and_may_heal() -> None:
    bench = Bench(node(Rule(Outcome(pull_error="no such host"), times=3)))
    bench.bind(spec())
    bench.run(20)
    waiting = bench.container("main")["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert "no such host" in waiting["message"]
    bench.run(30)
    assert bench.status()["phase"] == "Succeeded"


def test_a_deleted_pod_ends_its_containers_and_goes() -> None:
    bench = Bench(node(HANGS))
    bench.bind(spec("Always"))
    bench.run(10)
    bench.delete("pod")
    bench.run(1)
    assert bench.pods == {}
    assert bench.phases[-1] == "Failed"


def test_a_finished_pod_is_removed_when_it_is_deleted() -> None:
    bench = Bench(node())
    bench.bind(spec())
    bench.run(10)
    bench.delete("pod", grace=0)
    bench.run(1)
    assert bench.pods == {}


def test_an_old_pod_that_was_deleted_while_nobody_looked_is_removed() -> None:
    bench = Bench(node())
    bench.pods["old"] = {
        "metadata": {
            "name": "old",
            "namespace": "default",
            "uid": "old",
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec(),
        "status": {"phase": "Succeeded"},
    }
    bench.show("old")
    bench.run(1)
    assert bench.pods == {}
