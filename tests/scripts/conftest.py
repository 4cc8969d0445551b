"""Every script test runs once under dash and once under busybox ash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tools
from tests.scripts.harness import Bench


@pytest.fixture(scope="session", params=["dash", "busybox ash"])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command line of a shell, up to its options."""
    name = str(request.param)
    found = tools.find_dash() if name == "dash" else tools.find_busybox()
    if found is None:
        pytest.skip(f"{name} is not installed and cannot be fetched")
    return (str(found),) if name == "dash" else (str(found), "ash")


@pytest.fixture
def bench(tmp_path: Path, shell: tuple[str, ...]) -> Bench:
    """An image, a node and a shell."""
    return Bench(tmp_path, shell)
