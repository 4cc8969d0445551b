"""A short storm in every test run; `./task chaos` runs long ones, and docs/chaos.md has the figures of one."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.cluster.chaos.storm import Storm
from tests.cluster.controlplane import ControlPlane

CRDS = Path(__file__).parents[3] / "crds"


@pytest.mark.realcluster
@pytest.mark.slow
def test_a_storm_breaks_nothing(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    own_control_plane.kubectl("apply", "--server-side", "-k", str(CRDS))
    own_control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    seed = random.SystemRandom().randrange(10**6)
    print(f"chaos seed {seed}")
    storm = Storm(own_control_plane, tmp_path, nodes=6, rng=random.Random(seed), say=print)
    tally = asyncio.run(storm.until(kills=8))
    assert not tally.faults, tally
    assert tally.most_commands_on_a_node == 1
    assert tally.nodes_upgraded == 6 * tally.rollouts
