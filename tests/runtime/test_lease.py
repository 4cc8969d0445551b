"""What is written into the lease."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kairos_operator.runtime import lease


@pytest.mark.parametrize(("duration", "written"), [(15.0, 15), (14.5, 15), (14.01, 15), (1.0, 1), (0.5, 1)])
def test_others_wait_for_no_less_than_the_duration(duration: float, written: int) -> None:
    found = lease.taken(lease.blank("lease", "ns"), "me", duration, datetime(2026, 1, 1, tzinfo=UTC))
    assert found["spec"]["leaseDurationSeconds"] == written
    assert lease.lasts(found, 0.0) >= duration
