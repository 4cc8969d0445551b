"""The certificate's life: made, shared, renewed without a gap, repaired; against an API server in memory."""

from __future__ import annotations

import base64
import ssl
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography import x509

from kairos_operator.api.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS, Resource
from webhooks.certificates import Certificates, Place, bundle_patch
from webhooks.configurations import by_service, mutating_configuration, validating_configuration
from webhooks.files import CertificateFiles
from webhooks.keychain import Keychain, Timing, advanced, fresh, from_secret, to_secret
from webhooks.keys import BadPair, Pair, checked, load_into, mint
from webhooks.server import server_context

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PLACE = Place("kairos-system", mutating=("m",), validating=("v",))
TIMING = Timing()
Object = dict[str, Any]


class Refused(Exception):
    """What the client raises for an answer that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class ApiServer:
    """As much of an API server as certificates need, with resourceVersions."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.version = 0
        self.writes: list[str] = []
        self.fails_with = 0
        service = by_service("s", "kairos-system")
        self.put(MUTATING_WEBHOOKS, mutating_configuration("m", service))
        self.put(VALIDATING_WEBHOOKS, validating_configuration("v", service))

    def put(self, res: Resource, body: Object) -> Object:
        self.version += 1
        body = deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[res.plural, body["metadata"]["name"]] = body
        return deepcopy(body)

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        if self.fails_with:
            raise Refused(self.fails_with)
        if (res.plural, name) not in self.objects:
            raise Refused(404)
        return deepcopy(self.objects[res.plural, name])

    async def create(self, res: Resource, body: Object, namespace: str | None = None) -> Object:
        if (res.plural, body["metadata"]["name"]) in self.objects:
            raise Refused(409)
        self.writes.append(f"create {res.plural}")
        return self.put(res, body)

    async def patch(
        self,
        res: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        kind: Literal["merge", "json"] = "merge",
    ) -> Object:
        obj = await self.get(res, name)
        self.writes.append(f"patch {res.plural}")
        if kind == "json":
            for operation in body:
                _, _, index, *rest = operation["path"].split("/")
                webhook = obj["webhooks"][int(index)]
                if operation["op"] == "test" and webhook["name"] != operation["value"]:
                    raise Refused(422)
                if operation["op"] == "add":
                    webhook[rest[0]][rest[1]] = operation["value"]
            return self.put(res, obj)
        if body["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Refused(409)
        obj["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        obj["data"] = {k: v for k, v in {**(obj.get("data") or {}), **body["data"]}.items() if v is not None}
        return self.put(res, obj)

    @property
    def secret(self) -> Object:
        return self.objects["secrets", PLACE.secret]

    def bundles(self) -> set[str]:
        hooks = [
            *self.objects["mutatingwebhookconfigurations", "m"]["webhooks"],
            *self.objects["validatingwebhookconfigurations", "v"]["webhooks"],
        ]
        return {hook["clientConfig"].get("caBundle", "") for hook in hooks}


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def time() -> Time:
    return Time()


def replica(api: ApiServer, time: Time) -> Certificates:
    return Certificates(api, Refused, server_context(), PLACE, time, TIMING)


def trusts(api: ApiServer, chain: Keychain) -> bool:
    """Whether the API server trusts what a replica that holds `chain` serves."""
    (bundle,) = api.bundles()
    return chain.current.ca.strip() in base64.b64decode(bundle)


def test_the_extensions_that_clients_ask_for() -> None:
    pair = mint(["a.b.svc", "a"], NOW)
    ca, leaf = x509.load_pem_x509_certificate(pair.ca), x509.load_pem_x509_certificate(pair.certificate)
    ca_limits = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (ca_limits.critical, ca_limits.value.ca, usage.critical) == (True, True, True)
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage(
        [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    )
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.b.svc", "a"]
    for certificate in (ca, leaf):
        key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert issuer.key_identifier == key_id
    assert leaf.not_valid_before_utc == NOW - timedelta(days=1)


def test_a_pair_shows_no_key() -> None:
    assert "PRIVATE" not in repr(fresh(["a"], NOW, TIMING))


@pytest.mark.parametrize("part", ["certificate", "key", "ca"])
@pytest.mark.parametrize("wrong", [b"", b"x", b"other"])
def test_what_cannot_be_served_is_told(part: str, wrong: bytes) -> None:
    pair, other = mint(["a"], NOW), mint(["a"], NOW)
    parts = {name: getattr(pair, name) for name in ("certificate", "key", "ca")}
    parts[part] = getattr(other, part) if wrong == b"other" else wrong
    with pytest.raises(BadPair):
        checked(Pair(**parts), ["a"])


def test_a_certificate_for_another_service_is_of_no_use() -> None:
    with pytest.raises(BadPair, match="not for b"):
        checked(mint(["a"], NOW), ["a", "b"])


def test_a_secret_says_all_of_a_stage() -> None:
    chain = Keychain(mint(["a"], NOW), NOW, following=mint(["a"], NOW), previous_ca=b"old\n")
    assert from_secret(to_secret(chain), ["a"]) == chain


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


def test_a_pair_that_does_not_match_leaves_the_old_in_use() -> None:
    context = server_context()
    one, two = mint(["a"], NOW), mint(["a"], NOW)
    load_into(context, one.certificate, one.key)
    with pytest.raises(ssl.SSLError):
        load_into(context, two.certificate, one.key)
    assert context.cert_store_stats()["x509"] == 0


def test_files_are_loaded_and_reloaded(tmp_path: Path) -> None:
    files = CertificateFiles(server_context(), tmp_path)
    with pytest.raises(OSError):
        files.step()
    one, two = mint(["a"], NOW), mint(["a"], NOW)
    (tmp_path / "tls.crt").write_bytes(one.certificate)
    (tmp_path / "tls.key").write_bytes(one.key)
    assert files.step()
    (tmp_path / "tls.crt").write_bytes(two.certificate)
    assert not files.step(), "in the middle of a change"
    (tmp_path / "tls.key").write_bytes(two.key)
    assert files.step()
