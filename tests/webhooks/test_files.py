"""A certificate in files that somebody else keeps: loaded, reloaded, and never half of it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.webhooks.serving import HOST, serves
from webhooks.files import CertificateFiles
from webhooks.keys import Pair, mint
from webhooks.server import server_context


@pytest.fixture
def context() -> ssl.SSLContext:
    return server_context()


def minted() -> Pair:
    return mint([HOST], datetime.now(UTC))


def put(directory: Path, pair: Pair) -> None:
    (directory / "tls.crt").write_bytes(pair.certificate)
    (directory / "tls.key").write_bytes(pair.key)


def mount(directory: Path, version: str, pair: Pair) -> None:
    """What the kubelet does with a Secret: a directory for each version, and a link that it swaps."""
    (directory / version).mkdir()
    put(directory / version, pair)
    (directory / "..new").symlink_to(version)
    (directory / "..new").rename(directory / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")


def test_files_are_loaded_and_reloaded(context: ssl.SSLContext, tmp_path: Path) -> None:
    files = CertificateFiles(context, tmp_path)
    with pytest.raises(OSError):
        files.step()
    one, two = minted(), minted()
    put(tmp_path, one)
    assert files.step()
    (tmp_path / "tls.crt").write_bytes(two.certificate)
    assert not files.step(), "in the middle of a change"
    assert serves(context, one)
    (tmp_path / "tls.key").write_bytes(two.key)
    assert files.step()
    assert serves(context, two)


def test_a_mounted_secret_is_read_as_one_though_it_is_swapped_meanwhile(
    context: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = minted(), minted()
    mount(tmp_path, "..1", one)
    real_read = Path.read_bytes

    def read_and_swap(path: Path) -> bytes:
        found = real_read(path)
        if not (tmp_path / "..2").exists():
            mount(tmp_path, "..2", two)
        return found

    monkeypatch.setattr(Path, "read_bytes", read_and_swap)
    files = CertificateFiles(context, tmp_path)
    assert files.step()
    assert serves(context, one)
    assert files.step()
    assert serves(context, two)
