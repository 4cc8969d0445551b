"""The reboot program trusts the cluster's own certificate authority, and no other."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kairos_operator.reboot.pod import OwnPod
from kairos_operator.reboot.settings import Settings, settings_from
from tests.reboot.fakes import TOKEN, FakePodApi


def _write_authority(directory: Path) -> None:
    """A self-signed certificate for loopback, without key identifiers, as old clusters have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, directory.name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    directory.mkdir()
    (directory / "token").write_text(TOKEN)
    (directory / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakePodApi]:
    for authority in ("cluster", "stranger"):
        _write_authority(tmp_path / authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cluster" / "ca.crt", tmp_path / "cluster" / "key")
    server = FakePodApi(tls)
    yield server
    server.shutdown()
    server.server_close()


def _settings(api: FakePodApi, service_account_dir: Path) -> Settings:
    host, port = api.server_address[:2]
    return settings_from(
        {
            "POD_NAME": "p",
            "POD_NAMESPACE": "n",
            "JOB_NAME": "j",
            "KUBERNETES_SERVICE_HOST": str(host),
            "KUBERNETES_SERVICE_PORT": str(port),
            "KAIROS_SERVICEACCOUNT_DIR": str(service_account_dir),
        }
    )


def test_reads_and_writes_over_tls(api: FakePodApi, tmp_path: Path) -> None:
    pod = OwnPod(_settings(api, tmp_path / "cluster"))
    pod.annotate({"new": "value"})
    assert pod.annotations() == {"other": "kept", "new": "value"}


def test_another_authority_is_refused_before_the_token_is_sent(api: FakePodApi, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        OwnPod(_settings(api, tmp_path / "stranger")).annotations()
    assert api.requests == []


def test_an_ipv6_cluster_address_becomes_a_url() -> None:
    names = {"POD_NAME": "p", "POD_NAMESPACE": "n", "JOB_NAME": "j"}
    settings = settings_from(
        names | {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    )
    assert settings.api_url == "https://[fd00::1]:6443"
