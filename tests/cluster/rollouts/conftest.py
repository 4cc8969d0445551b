"""Fixtures of the scenarios: the CRDs, one operator process for all of them, and a place for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.controlplane import Cluster
from tests.cluster.rollouts.arena import Arena, opened
from tests.cluster.rollouts.replica import Replica

CRDS = Path(__file__).parents[3] / "crds"

Open = Callable[..., AbstractAsyncContextManager[Arena]]


@pytest.fixture(scope="session")
def cluster(real_control_plane: Cluster) -> Cluster:
    """The control plane, with the CRDs."""
    real_control_plane.kubectl("apply", "--server-side", "-k", str(CRDS))
    real_control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    return real_control_plane


@pytest.fixture(
    scope="package"
)  # not longer: it would act on the operations of other tests on this control plane
def shared_operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """The process that all scenarios share."""
    replica = Replica(cluster, tmp_path_factory.mktemp("operator"))
    yield replica
    replica.kill()


@pytest.fixture
async def operator(shared_operator: Replica) -> Replica:
    """The operator, running at the beginning and, unless the scenario ended it, at the end."""
    if not shared_operator.running:
        await shared_operator.start()
    return shared_operator


@pytest.fixture
def arena(cluster: Cluster, operator: Replica, tmp_path: Path) -> Open:
    """Opens the place of a scenario: `async with arena(NodeSpec("a"), ...) as a:`."""
    return partial(opened, cluster, operator, tmp_path)
