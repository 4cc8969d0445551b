"""A cluster of one machine: the operator's only replica is on the node that it upgrades and reboots."""

from __future__ import annotations

import pytest

from tests.machines.fleet import RESULTS, Fleet, users_example
from tests.machines.images import NEW_IMAGE

pytestmark = pytest.mark.machines


def test_the_only_operator_survives_the_reboot_of_its_own_node_and_finishes_the_upgrade() -> None:
    fleet = Fleet(["only"], "overlays/single-node", serves=False)
    with fleet:
        before = fleet.operators()
        assert list(before.values()) == ["only"]
        body = fleet.run(users_example(NEW_IMAGE.name))
        fleet.recording.write(
            RESULTS / "recording-single-node.txt", "One machine, upgraded by the operator that runs on it"
        )
        assert body["status"]["phase"] == "Completed", body["status"]
        assert fleet.boots() == {"only": 2}
        assert fleet.cordoned() == []
        assert fleet.operators() == before, "the same pod went on after the reboot"
        assert fleet.plane.refused() == []
        assert len(fleet.machines["only"].file("var/lib/kairos/calls").read_text().splitlines()) == 1
