"""The marker of tests on real machines, and the one loud line where there are none."""

from __future__ import annotations

import pytest

from tests.machines.enclosure import NotEnclosedError, check_enclosed
from tests.machines.lack import lacking


def pytest_configure(config: pytest.Config) -> None:
    """Names the marker."""
    config.addinivalue_line(
        "markers", "machines: needs root on Linux, and `python -m tests.machines` around it"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: no machine is made, nor anything for one, where the box could be reached."""
    if item.get_closest_marker("machines") is None:
        return
    try:
        check_enclosed()
    except NotEnclosedError as error:
        pytest.skip(f"NO REAL MACHINES: {lacking() or error}; run `python -m tests.machines` as root")
