"""The user's example on five machines that really reboot, and what comes after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.machines.fleet import REPOSITORY, RESULTS, Fleet, upgrade, users_example
from tests.machines.images import BROKEN_IMAGE, NEW_IMAGE
from tests.machines.recording import Line
from tests.machines.timeline import table, timeline

pytestmark = pytest.mark.machines
# By name the control plane would be the last but one, so that its place shows that it is chosen first.
NAMES = ["node-d", "node-a", "node-b", "node-c", "node-e"]
DEFAULT = str(REPOSITORY / "config" / "default")
ORDER = ["node-d", "node-a", "node-b", "node-c", "node-e"]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The user's example, after its end."""

    fleet: Fleet
    body: dict[str, Any]
    operators_before: dict[str, str]
    boots: dict[str, int]
    lines: list[Line]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Five machines; the recording is written whatever happens."""
    fleet = Fleet(NAMES)
    try:
        with fleet:
            yield fleet
    finally:
        write_recording(fleet)


def write_recording(fleet: Fleet) -> None:
    """The recording, below a table of the user's example where that went as it should."""
    lines, summary = fleet.recording.lines(), list[str]()
    with suppress(LookupError):
        summary = table(timeline(lines, "kairos-upgrade", NAMES))
    title = "Five machines on one box, upgraded by the operator: what was seen from outside"
    fleet.recording.write(RESULTS / "recording.txt", title, summary)


@pytest.fixture(scope="module")
def upgraded(fleet: Fleet) -> Upgraded:
    """The user's example has run, once."""
    before = fleet.operators()
    body = fleet.run(users_example(NEW_IMAGE.name))
    return Upgraded(fleet, body, before, fleet.boots(), fleet.recording.lines())


def cordons(lines: list[Line]) -> list[tuple[str, float, float]]:
    """Each node that was cordoned, from when to when, in the order of the beginnings."""
    since: dict[str, float] = {}
    found = []
    for line in (one for one in lines if one.what == "cordoned"):
        if line.detail == "true":
            since[line.who] = line.at
        elif line.who in since:
            found.append((line.who, since.pop(line.who), line.at))
    assert not since, f"still cordoned: {since}"
    return sorted(found, key=lambda one: one[1])


def test_every_node_is_upgraded_by_one_real_reboot_and_taken_back_into_use(upgraded: Upgraded) -> None:
    fleet = upgraded.fleet
    assert upgraded.body["status"]["phase"] == "Completed", upgraded.body["status"]
    assert upgraded.boots == dict.fromkeys(NAMES, 2)
    assert fleet.cordoned() == []
    for name, machine in fleet.machines.items():
        assert fleet.node(name)["status"]["nodeInfo"]["bootID"] == machine.boot_ids[1]
        assert f'"{NEW_IMAGE.version}"' in machine.file("etc/kairos-release").read_text()
        assert len(machine.file("var/lib/kairos/calls").read_text().splitlines()) == 1
    fleet.wait(lambda: fleet.releases() == {NEW_IMAGE.version}, "the labels tell the new release", 120)


def test_nodes_go_one_after_the_other_with_the_control_plane_first(upgraded: Upgraded) -> None:
    times = cordons(upgraded.lines)
    assert [name for name, _, _ in times] == ORDER
    for (name, _, end), (following, begin, _) in pairwise(times):
        assert end <= begin, f"{following} was cordoned before {name} was back"
    boots = {line.who: line.at for line in upgraded.lines if line.what == "boot"}
    for name, begin, end in times:
        assert begin < boots[name] < end, f"{name} did not reboot while it was cordoned"


def test_the_jobs_are_complete_and_nothing_of_them_ran_twice(upgraded: Upgraded) -> None:
    jobs = upgraded.fleet.plane.read("jobs", "-n", "default")["items"]
    assert len(jobs) == len(NAMES)
    for job in jobs:
        ended = {one["type"] for one in job["status"]["conditions"] if one["status"] == "True"}
        assert "Complete" in ended, job["status"]
        assert job["status"].get("failed", 0) == 0
    for pod in upgraded.fleet.plane.read("pods", "-n", "default", "-l", "batch.kubernetes.io/job-name")[
        "items"
    ]:
        assert [one["restartCount"] for one in pod["status"]["containerStatuses"]] == [0], pod["metadata"][
            "name"
        ]


def test_a_deployment_with_a_budget_serves_all_the_time(upgraded: Upgraded) -> None:
    client = upgraded.fleet.client
    assert client.failures == []
    assert client.answers > 100
    assert len(client.answered_by) > 3, "no pod was ever moved"


def test_the_operators_own_nodes_are_among_those_that_reboot(upgraded: Upgraded) -> None:
    assert len(set(upgraded.operators_before.values())) == 2
    assert set(upgraded.operators_before.values()) <= set(NAMES)
    started = upgraded.fleet.operators()
    assert started, "no operator is left"


def test_a_second_run_with_the_same_image_leaves_every_node_alone(upgraded: Upgraded) -> None:
    fleet = upgraded.fleet
    boots, seen = fleet.boots(), len(fleet.recording.lines("cordoned"))
    body = fleet.run(upgrade("again", NEW_IMAGE.name))
    assert body["status"]["phase"] == "Completed"
    assert body["status"]["summary"]["skipped"] == len(NAMES)
    assert fleet.boots() == boots
    assert len(fleet.recording.lines("cordoned")) == seen


def test_force_upgrades_and_reboots_a_node_that_is_up_to_date(upgraded: Upgraded) -> None:
    fleet = upgraded.fleet
    boots = fleet.boots()
    selector = {"matchLabels": {"kubernetes.io/hostname": "node-e"}}
    body = fleet.run(upgrade("forced", NEW_IMAGE.name, force=True, nodeSelector=selector))
    assert body["status"]["phase"] == "Completed", body["status"]
    assert fleet.boots() == {**boots, "node-e": boots["node-e"] + 1}
    assert fleet.cordoned() == []


def test_a_bad_image_stops_at_the_first_node_and_says_why(upgraded: Upgraded) -> None:
    # Without a limit the Job is tried seven times, which takes ten minutes and ends the same.
    fleet = upgraded.fleet
    boots = fleet.boots()
    body = fleet.run(upgrade("bad", BROKEN_IMAGE.name, jobTimeoutSeconds=45))
    assert body["status"]["phase"] == "Failed"
    nodes = body["status"]["nodeStatuses"]
    assert nodes["node-d"]["phase"] == "Failed"
    assert "kairos-agent failed to upgrade the active system" in nodes["node-d"]["message"]
    assert {nodes[name]["phase"] for name in ORDER[1:]} == {"Pending"}
    assert fleet.boots() == boots
    assert fleet.cordoned() == ["node-d"], "a failed node stays out of use until somebody has looked"


def test_nothing_that_was_asked_for_was_refused(upgraded: Upgraded) -> None:
    assert upgraded.fleet.plane.refused() == []


def test_removing_it_leaves_every_node_in_use_and_nothing_else(upgraded: Upgraded) -> None:
    # The bad image's node is still cordoned for its failed operation. The commands are those of `task undeploy`.
    fleet, kubectl = upgraded.fleet, upgraded.fleet.plane.kubectl
    fleet.keep_words()
    everything = ("--all", "--all-namespaces", "--ignore-not-found", "--timeout=3m")
    kubectl("delete", "nodeopupgrades,nodeops", *everything, timeout=200)
    assert fleet.cordoned() == []
    kubectl("delete", "--ignore-not-found", "--timeout=3m", "-k", DEFAULT, timeout=400)
    assert "kairos" not in kubectl("get", "crds,namespaces,clusterroles", "-o", "name").stdout
    assert fleet.cordoned() == []
