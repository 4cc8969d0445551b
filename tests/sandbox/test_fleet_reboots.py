"""Simulated nodes over a reboot, and what their kubelets write: boots, lost pods, conditions, last words."""

from __future__ import annotations

import pytest

from tests.sandbox.fleet import Outcome, Reboot, Rule, real_programs
from tests.sandbox.fleet.steps import Exit
from tests.sandbox.fleet_bench import Bench
from tests.sandbox.test_fleet_pods import HANGS, node, spec


@pytest.mark.parametrize(
    ("policy", "phase"), [("Never", "Failed"), ("OnFailure", "Running"), ("Always", "Running")]
)
def test_a_reboot_restarts_what_ran_unless_it_must_never_restart(policy: str, phase: str) -> None:
    bench = Bench(node(HANGS))
    bench.bind(spec(policy, inits=("setup",)))
    bench.run(10)
    bench.kubelet.request_reboot(bench.now)
    bench.run(40)
    assert bench.status()["phase"] == phase
    starts = [record.container for record in bench.journal.of("n", "start")]
    assert starts == (["setup", "main"] if policy == "Never" else ["setup", "main", "setup", "main"])
    ended = bench.container("main")["state" if policy == "Never" else "lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (255, "Unknown")


def test_a_finished_pod_stays_finished_over_a_reboot() -> None:
    bench = Bench(node())
    bench.bind(spec("OnFailure"))
    bench.run(10)
    bench.kubelet.request_reboot(bench.now)
    bench.run(40)
    assert bench.status()["phase"] == "Succeeded"
    assert len(bench.journal.of("n", "start")) == 1


def test_the_node_shows_its_new_boot_before_it_is_ready() -> None:
    bench = Bench(node(reboot=Reboot(seconds=20, ready_after=5)))
    before = bench.node["status"]["nodeInfo"]["bootID"]
    bench.kubelet.request_reboot(bench.now)
    bench.run(19)
    assert bench.condition("Ready") == "False"
    assert bench.node["status"]["nodeInfo"]["bootID"] == before
    bench.run(2)
    assert bench.condition("Ready") == "False"
    assert bench.node["status"]["nodeInfo"]["bootID"] != before
    bench.run(5)
    assert bench.condition("Ready") == "True"
    assert [record.event for record in bench.journal] == ["reboot", "boot", "ready"]


def test_a_node_that_never_comes_back_can_be_switched_on() -> None:
    bench = Bench(node(reboot=Reboot(comes_back=False)))
    bench.bind(spec("Always"))
    bench.kubelet.request_reboot(bench.now)
    bench.run(10_000)
    assert bench.condition("Ready") == "False"
    assert bench.kubelet.disk.boots == 1
    bench.kubelet.power_on(bench.now)
    bench.run(10)
    assert bench.condition("Ready") == "True"
    assert bench.status()["phase"] == "Running"


def test_the_boot_id_may_stay_the_same() -> None:
    bench = Bench(node(reboot=Reboot(same_boot_id=True)))
    before = bench.node["status"]["nodeInfo"]["bootID"]
    bench.kubelet.request_reboot(bench.now)
    bench.run(60)
    assert bench.kubelet.disk.boots == 2
    assert bench.node["status"]["nodeInfo"]["bootID"] == before


def test_what_the_server_refused_is_written_later() -> None:
    bench = Bench(node())
    bench.bind(spec())
    bench.refusing = True
    bench.run(3)
    assert bench.status() == {"phase": "Pending"}
    bench.refusing = False
    bench.run(5)
    assert bench.status()["phase"] == "Succeeded"


def test_conditions_of_others_are_kept() -> None:
    bench = Bench(node(HANGS))
    bench.bind(spec("Always"))
    foreign = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    bench.pods["pod"]["status"] = {"phase": "Pending", "conditions": [foreign]}
    bench.show("pod")
    bench.run(5)
    assert foreign in bench.status()["conditions"]


def test_the_end_of_the_log_is_the_message_where_the_policy_says_so() -> None:
    failing = Rule(Outcome(exit_code=1, log="line 1\nline 2\n"))
    bench = Bench(node(failing))
    asked = spec()
    asked["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError"
    bench.bind(asked)
    bench.run(5)
    assert bench.container("main")["state"]["terminated"]["message"] == "line 1\nline 2"


def test_a_program_that_dies_with_its_node_is_lost_and_not_ended() -> None:
    bench = Bench(node(), real_programs())
    asked = spec("OnFailure", mains=("reboot",))
    bench.bind(asked, labels={"kairos.io/reboot": "true"})
    bench.run(2)
    [begun] = bench.ran
    bench.kubelet.request_reboot(bench.now)
    bench.run(1)
    assert [effect.run for effect in bench.stopped] == [begun.run]
    bench.kubelet.ended(begun.run, Exit(137), bench.now)
    bench.run(30)
    assert bench.container("reboot")["lastState"]["terminated"]["exitCode"] == 255
    assert len(bench.ran) == 2
    bench.kubelet.ended(bench.ran[1].run, Exit(0), bench.now)
    bench.run(1)
    assert bench.status()["phase"] == "Succeeded"
