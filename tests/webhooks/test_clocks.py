"""Replicas whose clocks are far apart: the API server's clock is the one that counts, and they write seldom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kairos_operator.api.base import timestamp
from kairos_operator.api.resources import Resource
from tests.webhooks.memory import NOW, TIMING, ApiServer, Object, Refused, Time, replica, trusts
from webhooks.keychain import Keychain, advanced, minted, written
from webhooks.keys import mint

MINUTES = 30
STEPS = MINUTES * 6


class Dated(ApiServer):
    """An API server that says when it wrote what, by its own clock."""

    def __init__(self, time: Time) -> None:
        self.time = time
        super().__init__()

    def put(self, res: Resource, body: Object) -> Object:
        at = timestamp(self.time.now)
        created = body["metadata"].get("creationTimestamp", at)
        dates = {"creationTimestamp": created, "managedFields": [{"time": at}]}
        return super().put(res, body | {"metadata": body["metadata"] | dates})


@pytest.mark.parametrize("right_is_first", [True, False])
@pytest.mark.parametrize("days", [-400, -300, 300, 400])
async def test_two_clocks_that_are_far_apart_write_seldom_and_the_right_one_wins(
    days: int, right_is_first: bool
) -> None:
    right, wrong = Time(), Time()
    wrong.passes(days=days)
    api = Dated(right)
    replicas = [replica(api, right), replica(api, wrong)]
    replicas.sort(key=lambda one: (one.now is right) != right_is_first)
    bad = 0
    for _ in range(STEPS):
        chains = [await one.step() for one in replicas]
        bad += not (chains[-1].current.valid(right.now) and trusts(api, chains[-1]))
        right.passes(seconds=10)
        wrong.passes(seconds=10)
    assert api.writes.count("patch secrets") <= MINUTES // 10 * 2 + 2
    assert bad <= STEPS // 20


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


def test_the_api_server_says_when_it_wrote() -> None:
    times = ["2026-05-04T03:02:01Z", "2026-05-06T03:02:01Z", "2026-05-05T03:02:01Z"]
    fields = [{"manager": "x", "time": text} for text in times[1:]] + [{"manager": "y"}]
    assert written({"metadata": {"creationTimestamp": times[0]}}) == NOW
    assert written({"metadata": {"creationTimestamp": times[0], "managedFields": fields}}) == NOW + timedelta(
        days=2
    )
    assert written({}) is None
