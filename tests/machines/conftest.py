"""Fixtures for tests on real machines, and the one loud line where there are none."""

from __future__ import annotations

import pytest

from tests.machines.enclosure import NotEnclosedError, check_enclosed
from tests.machines.lack import lacking


@pytest.fixture(scope="session", autouse=True)
def _enclosed() -> None:
    try:
        check_enclosed()
    except NotEnclosedError as error:
        pytest.skip(f"NO REAL MACHINES: {lacking() or error}; run `python -m tests.machines` as root")


def pytest_configure(config: pytest.Config) -> None:
    """Names the marker."""
    config.addinivalue_line(
        "markers", "machines: needs root on Linux, and `python -m tests.machines` around it"
    )
