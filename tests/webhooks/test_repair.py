"""A certificate that somebody or the time has spoiled is put right; clocks that are off do no harm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kairos_operator.api.resources import SECRETS
from tests.webhooks.memory import NOW, PLACE, TIMING, ApiServer, Refused, Time, replica, trusts
from webhooks.keychain import Keychain, advanced, fresh, from_secret, to_secret
from webhooks.keys import mint


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("value", ["", "!!!", "eA==", None])
async def test_a_corrupt_secret_is_written_anew_from_what_is_served(
    api: ApiServer, time: Time, key: str, value: str | None
) -> None:
    certificates = replica(api, time)
    chain = await certificates.step()
    api.secret["data"][key] = value
    assert await certificates.step() == chain
    assert from_secret(api.secret, PLACE.names) == chain


async def test_a_corrupt_secret_at_the_start_is_replaced(api: ApiServer, time: Time) -> None:
    api.put(SECRETS, {"metadata": {"name": PLACE.secret}, "data": {"tls.crt": "eA=="}})
    chain = await replica(api, time).step()
    assert trusts(api, chain)
    assert from_secret(api.secret, PLACE.names) == chain


async def test_a_deleted_secret_comes_back_as_it_was(api: ApiServer, time: Time) -> None:
    certificates = replica(api, time)
    chain = await certificates.step()
    del api.objects["secrets", PLACE.secret]
    assert await certificates.step() == chain


@pytest.mark.parametrize("days", [400, 4000, -400])
async def test_a_certificate_out_of_its_time_is_replaced_at_once(
    api: ApiServer, time: Time, days: int
) -> None:
    """Expired while nothing ran, or made by a replica whose clock was far ahead."""
    certificates = replica(api, time)
    old = await certificates.step()
    time.passes(days=days)
    new = await certificates.step()
    assert new.current != old.current
    assert trusts(api, new)
    assert trusts(api, old), "another replica may serve the old one for a moment longer"


@pytest.mark.parametrize("hours", [-20, 20])
async def test_a_clock_that_is_hours_off_changes_nothing(api: ApiServer, time: Time, hours: int) -> None:
    chain = await replica(api, time).step()
    other = Time()
    other.passes(hours=hours)
    assert await replica(api, other).step() == chain


def test_a_stage_that_began_in_the_future_does_not_last_for_ever() -> None:
    chain = Keychain(mint(["a"], NOW), NOW + timedelta(days=900), following=mint(["a"], NOW))
    assert advanced(chain, ["a"], NOW, TIMING, told=True).current == chain.following


@pytest.mark.parametrize("since", ["", "yesterday", "2026-05-04T03:02:01"])
def test_a_stage_without_a_readable_beginning_began_with_its_certificate(since: str) -> None:
    secret = to_secret(fresh(["a"], NOW, TIMING))
    secret["metadata"]["annotations"] = {"operator.kairos.io/certificate-stage-since": since}
    assert from_secret(secret, ["a"]).since == NOW - timedelta(days=1)


async def test_errors_other_than_lost_races_are_the_callers(api: ApiServer, time: Time) -> None:
    api.fails_with = 403
    with pytest.raises(Refused):
        await replica(api, time).step()


async def test_keeping_goes_on_after_a_failed_step(api: ApiServer, time: Time) -> None:
    certificates = replica(api, time)
    api.fails_with = 500
    pauses: list[float] = []

    class Enough(Exception):
        """Ends the loop."""

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        api.fails_with = 0
        if len(pauses) == 3:
            raise Enough

    with pytest.raises(Enough):
        await certificates.keep(sleep)
    assert pauses[0] < pauses[1] == pauses[2]
    assert certificates.ready.is_set()
