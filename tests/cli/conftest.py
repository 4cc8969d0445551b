"""A cluster without an operator, for the commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.site import Site, site


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as found:
        yield found
