"""Twelve machines, four at a time: how long it takes, and how much of that is the operator's own."""

from __future__ import annotations

import pytest

from tests.machines.fleet import RESULTS, Fleet, upgrade
from tests.machines.images import NEW_IMAGE
from tests.machines.timeline import table, timeline

pytestmark = pytest.mark.machines
NAMES = [f"node-{number:02}" for number in range(1, 13)]
CONCURRENCY = 4


def most_at_once(fleet: Fleet) -> int:
    """The largest number of nodes that were seen cordoned at one time."""
    cordoned, most = set[str](), 0
    for line in fleet.recording.lines("cordoned"):
        (cordoned.add if line.detail == "true" else cordoned.discard)(line.who)
        most = max(most, len(cordoned))
    return most


def requested_memory(fleet: Fleet) -> float:
    """What the operator's Deployment asks for, in MiB."""
    deployment = fleet.plane.read("deployment", "kairos-operator", "-n", "kairos-operator-system")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    asked: str = container["resources"]["requests"]["memory"]
    assert asked.endswith("Mi")
    return float(asked.removesuffix("Mi"))


def test_twelve_machines_four_at_a_time() -> None:
    with Fleet(NAMES) as fleet:
        body = fleet.run(upgrade("twelve", NEW_IMAGE.name, concurrency=CONCURRENCY))
        found, use = timeline(fleet.recording.lines(), "twelve", NAMES), fleet.use()
        used = [f"{pod}: {memory:.0f} MiB, {cpu:.1f} s of CPU" for pod, (memory, cpu) in use.items()]
        title = "Twelve machines on one box, four at a time: what was seen from outside"
        fleet.recording.write(RESULTS / "recording-twelve.txt", title, [*table(found), "", *used])
        assert body["status"]["phase"] == "Completed", body["status"]
        assert fleet.boots() == dict.fromkeys(NAMES, 2)
        assert fleet.cordoned() == []
        assert most_at_once(fleet) == CONCURRENCY
        assert fleet.client.failures == []
        assert fleet.plane.refused() == []
        assert 0 < found.latency < found.makespan
        assert 0 < max(memory for memory, _ in use.values()) < requested_memory(fleet)
