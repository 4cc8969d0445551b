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

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> bytes:
    """A certificate for loopback without key identifiers, as old clusters have them."""
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1 if subject == issuer else 2)
        .not_valid_before(START)
        .not_valid_after(START + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .add_extension(address, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_cluster(directory: Path) -> None:
    """A service account's directory, with its authority and a certificate of the API server."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    directory.mkdir()
    (directory / "token").write_text(TOKEN)
    (directory / "ca.crt").write_bytes(_certificate("ca", "ca", authority, authority))
    (directory / "server.crt").write_bytes(_certificate("server", "ca", server, authority))
    form = serialization.PrivateFormat.PKCS8
    (directory / "server.key").write_bytes(
        server.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakePodApi]:
    for authority in ("cluster", "stranger"):
        _write_cluster(tmp_path / authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cluster" / "server.crt", tmp_path / "cluster" / "server.key")
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
    assert pod.read().annotations == {"other": "kept", "new": "value"}


def test_another_authority_is_refused_before_the_token_is_sent(api: FakePodApi, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        OwnPod(_settings(api, tmp_path / "stranger")).read()
    assert api.requests == []


def test_an_ipv6_cluster_address_becomes_a_url() -> None:
    names = {"POD_NAME": "p", "POD_NAMESPACE": "n", "JOB_NAME": "j"}
    settings = settings_from(
        names | {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    )
    assert settings.api_url == "https://[fd00::1]:6443"
