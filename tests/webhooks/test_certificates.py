"""The certificate's life: made, shared, and renewed without a gap, by replicas that race."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import pytest

from kairos_operator.api.resources import MUTATING_WEBHOOKS, SECRETS, Resource
from tests.webhooks.memory import PLACE, ApiServer, Object, Refused, Time, replica, trusts
from webhooks.configurations import bundle_patch, by_service, mutating_configuration
from webhooks.keychain import from_secret


class Interleaving(ApiServer):
    """Lets others go first, before each call and before its answer."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def _others_first(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        await self._others_first()
        found = await super().get(res, name, namespace)
        await self._others_first()
        return found

    async def create(self, res: Resource, body: Object, namespace: str | None = None) -> Object:
        await self._others_first()
        return await super().create(res, body, namespace)

    async def patch(
        self, res: Resource, name: str, body: Any, namespace: str | None = None, **how: Any
    ) -> Object:
        await self._others_first()
        return await super().patch(res, name, body, namespace, **how)


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def time() -> Time:
    return Time()


async def test_the_first_replica_makes_it_and_the_second_takes_it(api: ApiServer, time: Time) -> None:
    first, second = replica(api, time), replica(api, time)
    one, two = await first.step(), await second.step()
    assert one == two
    assert first.ready.is_set()
    assert second.ready.is_set()
    assert api.writes.count("create secrets") == 1
    assert trusts(api, one)
    assert api.secret["type"] == "kubernetes.io/tls"
    assert "ca.key" not in api.secret["data"]


async def test_two_replicas_that_create_at_once_end_with_one(api: ApiServer, time: Time) -> None:
    first, second = replica(api, time), replica(api, time)
    made = await first.step()
    real_get = api.get
    missed: list[str] = []

    async def get_too_early(res: Resource, name: str, namespace: str | None = None) -> Object:
        if res == SECRETS and not missed:
            missed.append(name)
            raise Refused(404)
        return await real_get(res, name, namespace)

    api.get = get_too_early  # type: ignore[method-assign]
    assert await second.step() == made
    assert missed


async def test_a_second_step_writes_nothing(api: ApiServer, time: Time) -> None:
    certificates = replica(api, time)
    await certificates.step()
    api.writes.clear()
    await certificates.step()
    assert api.writes == []


async def test_a_renewal_never_serves_what_is_not_trusted(api: ApiServer, time: Time) -> None:
    """Two replicas, one of them slow, through the whole of a renewal, in steps of ten seconds."""
    quick, slow = replica(api, time), replica(api, time)
    old = await quick.step()
    served = {"quick": old, "slow": await slow.step()}
    time.passes(days=300)
    for tick in range(500):
        served["quick"] = await quick.step()
        if tick % 20 == 0:
            served["slow"] = await slow.step()
        assert all(trusts(api, chain) for chain in served.values()), tick
        time.passes(seconds=10)
    assert served["quick"].current != old.current
    assert served["quick"].current == served["slow"].current
    assert served["quick"].previous_ca == b""
    assert old.current.ca not in base64.b64decode(next(iter(api.bundles())))


@pytest.mark.parametrize("seed", range(20))
async def test_replicas_that_step_at_the_same_time_agree_and_never_serve_what_is_not_trusted(
    seed: int, time: Time
) -> None:
    """Four replicas whose calls interleave at random, from nothing through two renewals and spoiled Secrets."""
    chance = random.Random(seed)
    api = Interleaving(chance)
    replicas = [replica(api, time) for _ in range(4)]
    await asyncio.gather(*(one.step() for one in replicas))
    cas = set()
    for round_ in range(120):
        if round_ in (40, 80):
            api.secret["data"][chance.choice(["tls.crt", "tls.key", "ca.crt"])] = "eA=="
        some = [one for one in replicas if chance.random() < 0.8]
        chains = await asyncio.gather(*(one.step(renew=round_ in (5, 60)) for one in some))
        assert all(trusts(api, chain) for chain in chains), round_
        cas |= {chain.current.ca for chain in chains}
        time.passes(minutes=3)
    settled = [await one.step() for one in replicas]
    assert all(chain.current == settled[0].current for chain in settled)
    assert from_secret(api.secret, PLACE.names) == settled[0]
    assert len(cas) == 3


async def test_a_renewal_waits_until_the_api_server_has_been_told(api: ApiServer, time: Time) -> None:
    certificates = replica(api, time)
    old = await certificates.step()
    await certificates.step(renew=True)
    time.passes(hours=3)
    api.objects["mutatingwebhookconfigurations", "m"]["webhooks"][0]["clientConfig"]["caBundle"] = "eA=="
    assert (await certificates.step()).current == old.current
    assert (await certificates.step()).current != old.current


async def test_a_lost_race_in_a_renewal_takes_the_winners(api: ApiServer, time: Time) -> None:
    first, second = replica(api, time), replica(api, time)
    await first.step()
    await second.step()
    real_patch = api.patch

    async def patch_after_the_other(
        res: Resource, name: str, body: Any, namespace: str | None = None, **how: Any
    ) -> Object:
        api.patch = real_patch  # type: ignore[method-assign]
        await first.step(renew=True)
        return await real_patch(res, name, body, namespace, **how)

    api.patch = patch_after_the_other  # type: ignore[method-assign]
    mine = await second.step(renew=True)
    assert mine.following is not None
    assert from_secret(api.secret, PLACE.names) == mine


@pytest.mark.parametrize("before", [True, False])
async def test_a_replica_that_was_frozen_tells_nothing_that_is_out_of_date(
    api: ApiServer, time: Time, before: bool
) -> None:
    """It read the Secret, stood still while another went through a renewal, and goes on where it was."""
    awake, frozen = replica(api, time), replica(api, time)
    await awake.step()
    await frozen.step()
    real_get = api.get
    chains = []

    async def renewal() -> None:
        api.get = real_get  # type: ignore[method-assign]
        await awake.step(renew=True)
        time.passes(minutes=2)
        chains.extend([await awake.step(), await awake.step()])

    async def get_and_freeze(res: Resource, name: str, namespace: str | None = None) -> Object:
        if res != MUTATING_WEBHOOKS:
            return await real_get(res, name, namespace)
        found = await real_get(res, name, namespace) if not before else None
        await renewal()
        return found or await real_get(res, name, namespace)

    api.get = get_and_freeze  # type: ignore[method-assign]
    await frozen.step()
    assert trusts(api, chains[-1])
    assert chains[-1].previous_ca


@pytest.mark.parametrize("wrong", ["eA==", "", "LS0tLS1CRUdJTg=="])
async def test_a_changed_ca_bundle_is_repaired_and_nothing_else_is_touched(
    api: ApiServer, time: Time, wrong: str
) -> None:
    certificates = replica(api, time)
    chain = await certificates.step()
    configuration = api.objects["validatingwebhookconfigurations", "v"]
    configuration["webhooks"][1]["clientConfig"]["caBundle"] = wrong
    stranger = {"name": "stranger.example.com", "clientConfig": {"caBundle": "c3RyYW5nZXI="}}
    configuration["webhooks"].insert(0, stranger)
    await certificates.step()
    hooks = api.objects["validatingwebhookconfigurations", "v"]["webhooks"]
    assert hooks[0] == stranger
    assert {hook["clientConfig"]["caBundle"] for hook in hooks[1:]} == {
        base64.b64encode(chain.trusted).decode()
    }


def test_a_patch_names_the_webhook_that_it_means() -> None:
    configuration = mutating_configuration("m", by_service("s", "n"))
    patch = bundle_patch(configuration, "YQ==")
    assert [(op["op"], op["path"]) for op in patch] == [
        ("test", "/webhooks/0/name"),
        ("add", "/webhooks/0/clientConfig/caBundle"),
        ("test", "/webhooks/1/name"),
        ("add", "/webhooks/1/clientConfig/caBundle"),
    ]


async def test_without_our_configurations_the_certificate_is_still_made(api: ApiServer, time: Time) -> None:
    api.objects.clear()
    assert (await replica(api, time).step()).current
