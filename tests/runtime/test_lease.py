"""What is written into the lease, and where none can be written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from kairos_operator.runtime import lease
from kairos_operator.runtime.errors import NotFound
from tests.runtime.leadership import replicas
from tests.runtime.virtual import run


@pytest.mark.parametrize(("duration", "written"), [(15.0, 15), (14.5, 15), (14.01, 15), (1.0, 1), (0.5, 1)])
def test_others_wait_for_no_less_than_the_duration(duration: float, written: int) -> None:
    found = lease.taken(lease.blank("lease", "ns"), "me", duration, datetime(2026, 1, 1, tzinfo=UTC))
    assert found["spec"]["leaseDurationSeconds"] == written
    assert lease.lasts(found, 0.0) >= duration


def test_where_there_is_no_namespace_it_is_said_and_not_tried_without_pause() -> None:
    async def main() -> None:
        _, (a,) = replicas(1)
        tries = 0

        async def missing(when: str) -> None:
            nonlocal tries
            if when == "create":
                tries += 1
                raise NotFound(404, "NotFound", 'namespaces "ns" not found')

        a.fault = missing
        a.start()
        await asyncio.sleep(20)
        assert 5 <= tries <= 10

    run(main)
