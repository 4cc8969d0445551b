"""pytest fixtures for a real control plane, and the one line that says when there was none.

Rules: it is found or built once per test run; with CI=true a failure is an error of every test that asked for
it, elsewhere those tests are skipped and the summary says in one line how to get a control plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.controlplane import (
    Assets,
    Cluster,
    ControlPlane,
    ControlPlaneUnavailableError,
    Found,
    Options,
    find_control_plane,
    start_cluster,
)
from tests.tools import in_ci

_WHY_NONE = pytest.StashKey[str]()


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Writes past pytest's capturing, so that a build of minutes is not silent."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def tell(line: str) -> None:
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"control plane: {line}")

    return tell


@pytest.fixture(scope="session")
def found_control_plane(pytestconfig: pytest.Config) -> Found:
    """Where a real control plane comes from in this run."""
    try:
        return find_control_plane(_teller(pytestconfig))
    except ControlPlaneUnavailableError as none:
        if in_ci():
            raise
        pytestconfig.stash[_WHY_NONE] = str(none)
        pytest.skip("no real control plane; the summary says how to get one")


@pytest.fixture(scope="session")
def real_control_plane(
    found_control_plane: Found, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One cluster for the whole run, with nothing installed in it; tests bring their own namespaces."""
    with start_cluster(found_control_plane, tmp_path_factory.mktemp("control-plane")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def control_plane_assets(found_control_plane: Found) -> Path:
    """The directory of the programs, for tests that start, kill and restart a control plane of their own."""
    if not isinstance(found_control_plane, Assets):
        pytest.skip("needs the programs of a control plane, not a cluster that others run")
    return found_control_plane.directory


@pytest.fixture
def own_control_plane(control_plane_assets: Path, tmp_path: Path) -> Iterator[ControlPlane]:
    """A fresh control plane for one test, which may kill its parts."""
    with ControlPlane(control_plane_assets, tmp_path / "control-plane", Options()) as plane:
        yield plane


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The one loud line."""
    why = config.stash.get(_WHY_NONE, "")
    if why:
        terminalreporter.write_line(
            "REAL CONTROL PLANE MISSING, its tests were skipped: " + " ".join(why.split()),
            red=True,
            bold=True,
        )
