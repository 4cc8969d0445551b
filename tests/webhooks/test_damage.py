"""Whatever single bit of the Secret is damaged, a replica goes on, and ends with what every other can read."""

from __future__ import annotations

import base64
import random
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

import webhooks.certificates
import webhooks.files
import webhooks.keys
from kairos_operator.api.resources import SECRETS
from tests.webhooks.memory import NOW, PLACE, ApiServer, Object, Time, replica, trusts
from webhooks.certificates import RETRY_INTERVAL
from webhooks.files import CertificateFiles
from webhooks.keychain import from_secret
from webhooks.keys import mint
from webhooks.server import server_context

ENTRIES = ["tls.crt", "tls.key", "ca.crt", "next-tls.crt", "next-tls.key", "next-ca.crt"]
SAMPLE = 60


class Enough(Exception):
    """Ends a loop that goes on for ever."""


def damaged(secret: Object, entry: str, chance: random.Random) -> Object:
    """The Secret with one bit of the DER in an entry the other way round."""
    first, *lines, last = base64.b64decode(secret["data"][entry]).decode().strip().split("\n")
    der = bytearray(base64.b64decode("".join(lines)))
    der[chance.randrange(len(der))] ^= 1 << chance.randrange(8)
    pem = f"{first}\n{base64.b64encode(der).decode()}\n{last}\n"
    return secret | {"data": secret["data"] | {entry: base64.b64encode(pem.encode()).decode()}}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("restarted", [True, False])
async def test_one_damaged_bit_stops_nobody(entry: str, restarted: bool) -> None:
    chance, api, time = random.Random(entry), ApiServer(), Time()
    served = replica(api, time)
    await served.step()
    await served.step(renew=True)
    whole = api.secret
    for _ in range(SAMPLE):
        api.put(SECRETS, damaged(whole, entry, chance))
        chain = await (replica(api, time) if restarted else served).step()
        assert from_secret(api.secret, PLACE.names) == chain
        assert trusts(api, chain)


async def test_a_secret_whose_key_openssl_refuses_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that reads it and the one that serves it do not agree on everything."""
    api, time = ApiServer(), Time()
    old = await replica(api, time).step()
    real_load = webhooks.keys.load_into

    def refuse_the_old(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
        if certificate == old.current.certificate:
            raise ssl.SSLError("not this one")
        real_load(context, certificate, key)

    monkeypatch.setattr(webhooks.keys, "load_into", refuse_the_old)
    monkeypatch.setattr(webhooks.certificates, "load_into", refuse_the_old)
    assert (await replica(api, time).step()).current != old.current


async def looks(keep: Callable[[Callable[[float], Awaitable[None]]], Awaitable[None]]) -> list[float]:
    """The pauses after three looks of one that looks for ever."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise Enough

    with pytest.raises(Enough):
        await keep(sleep)
    return pauses


async def test_an_error_that_nobody_thought_of_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise UnsupportedAlgorithm("of the year 2040")

    monkeypatch.setattr(webhooks.certificates, "from_secret", broken)
    assert await looks(replica(ApiServer(), Time()).keep) == [RETRY_INTERVAL] * 3
    assert "could not be looked after" in caplog.text
    assert "UnsupportedAlgorithm" in caplog.text


async def test_files_that_no_parser_takes_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise UnsupportedAlgorithm("of the year 2040")

    pair = mint(["a"], NOW)
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    files = CertificateFiles(server_context(), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(webhooks.files, "load_into", broken)
        await looks(files.keep)
    assert not files.loaded
    assert files.ends is None
    assert "UnsupportedAlgorithm" in caplog.text
    assert files.step()
    assert files.ends == pair.ends
