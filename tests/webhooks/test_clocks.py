"""Replicas whose clocks are far apart: the API server's clock is the one that counts, and they write seldom."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from kairos_operator.api.resources import Resource
from tests.webhooks.memory import NOW, TIMING, ApiServer, Object, Refused, Time, replica, trusts
from webhooks.keychain import Keychain, advanced, minted
from webhooks.keys import mint

MINUTES = 30
STEPS = MINUTES * 6


class Dated(ApiServer):
    """An API server that says what time it is, by its own clock."""

    def __init__(self, time: Time) -> None:
        self.time = time
        super().__init__()

    @property
    def server_time(self) -> datetime | None:
        return self.time.now


@pytest.mark.parametrize("off", [(0, -400), (-300, 0), (0, 300), (400, 0), (2,), (2, 100, 300), (-2, -400)])
async def test_whatever_the_replicas_take_for_the_time_the_api_servers_is_what_counts(
    off: tuple[int, ...],
) -> None:
    right = Time()
    api = Dated(right)
    clocks = [Time() for _ in off]
    for days, clock in zip(off, clocks, strict=True):
        clock.passes(days=days)
    replicas = [replica(api, clock) for clock in clocks]
    for _ in range(STEPS):
        for one in replicas:
            chain = await one.step()
            assert chain.current.valid(right.now)
            assert trusts(api, chain)
        for clock in (right, *clocks):
            clock.passes(seconds=10)
    assert api.writes.count("patch secrets") + api.writes.count("create secrets") <= 2


@pytest.mark.parametrize("installed_before", [True, False])
@pytest.mark.parametrize("days", [-1500, -300, 2, 250, 1500])
async def test_a_machine_that_was_set_right_after_its_boot_has_a_valid_pair_at_once(
    days: int, installed_before: bool
) -> None:
    """API server and operator share the clock, as on a single node without a battery."""
    machine = Time()
    api = Dated(machine)
    if installed_before:
        await replica(api, machine).step()
    machine.passes(days=days)
    one = replica(api, machine)
    for _ in range(3):
        await one.step()
        machine.passes(seconds=10)
    machine.passes(days=-days)
    for _ in range(60):
        chain = await one.step()
        machine.passes(seconds=10)
        assert chain.current.valid(machine.now)
        assert trusts(api, chain)


async def test_a_pair_that_has_expired_is_replaced_at_once_by_one_that_has_just_started() -> None:
    time = Time()
    api = Dated(time)
    old = await replica(api, time).step()
    time.passes(days=400)
    new = await replica(api, time).step()
    assert new.current != old.current
    assert new.current.valid(time.now)


async def test_a_new_pair_that_could_not_be_stored_is_made_again_at_once() -> None:
    time = Time()
    api = Dated(time)
    one = replica(api, time)
    old = await one.step()
    time.passes(days=400)
    real_patch = api.patch

    async def refuse(res: Resource, name: str, body: Any, namespace: str | None = None, **how: Any) -> Object:
        raise Refused(500)

    api.patch = refuse  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await one.step()
    api.patch = real_patch  # type: ignore[method-assign]
    assert (await one.step()).current != old.current


@pytest.mark.parametrize("days", [-500, 500])
def test_what_follows_is_dropped_where_it_is_out_of_its_time(days: int) -> None:
    chain = Keychain(mint(["a"], NOW), NOW, following=mint(["a"], NOW + timedelta(days=days)))
    later = NOW + timedelta(hours=1)
    after = advanced(chain, ["a"], later, TIMING, told=True)
    assert after == Keychain(chain.current, later)
    assert not minted(chain, after)
