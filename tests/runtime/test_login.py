"""Logging in over real TLS: client certificates, authorities, plugins, pods, and no key left behind."""

from __future__ import annotations

import base64
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kairos_operator.api.resources import NODES
from kairos_operator.runtime.errors import NoCluster, Unreachable
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, issuer: Pair | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(pair: Pair) -> tuple[bytes, bytes]:
    key = pair[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pair[0].public_bytes(serialization.Encoding.PEM), key


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Secure:
    """A server that tells who its clients are, by certificate or token."""

    def __init__(self, port: int, ca: Pair) -> None:
        self.port = port
        self.ca = pem(ca)[0]
        self.client_cert, self.client_key = pem(certificate("anna", ca))

    def config(self, user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
        server = {"server": f"https://127.0.0.1:{self.port}", **cluster}
        return {
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }

    @property
    def ca_data(self) -> dict[str, str]:
        return {"certificate-authority-data": b64(self.ca)}

    @property
    def key_data(self) -> dict[str, str]:
        return {"client-certificate-data": b64(self.client_cert), "client-key-data": b64(self.client_key)}

    @property
    def plugin(self) -> dict[str, Any]:
        told = '{"status": {"token": "from-plugin"}}'
        return {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-c", f"print('{told}')"],
            }
        }


@asynccontextmanager
async def secure(tmp: Path) -> AsyncIterator[Secure]:
    ca = certificate("ca")
    cert, key = pem(certificate("api.example", ca))
    (tmp / "server.pem").write_bytes(cert + key)
    (tmp / "ca.pem").write_bytes(pem(ca)[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp / "ca.pem"))
    context.load_cert_chain(tmp / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert")
        name = shown["subject"][0][0][1] if shown else request.headers.get("Authorization", "nobody")
        acting = [
            f"{header}: {value}" for header, value in request.headers.items() if header.startswith("Imp")
        ]
        return web.json_response({"name": "; ".join([name, *acting])})

    app = web.Application()
    app.router.add_get("/api/v1/nodes/who", who)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield Secure(runner.addresses[0][1], ca)
    finally:
        await runner.cleanup()


async def whoami(config: dict[str, Any] | str | None, **options: Any) -> str:
    api = await Kr8sApi.connect(config, **options)
    try:
        return str((await KubeClient(api).get(NODES, "who"))["name"])
    finally:
        await api.close()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, to see what is left in it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return scratch


async def test_inline_keys_let_us_in_and_leave_no_file_behind(tmp_path: Path, scratch: Path) -> None:
    async with secure(tmp_path) as server:
        config = server.config(server.key_data, **server.ca_data)
        assert await whoami(config) == "anna"
        assert list(scratch.iterdir()) == []


async def test_a_broken_inline_key_leaves_no_file_behind_either(tmp_path: Path, scratch: Path) -> None:
    async with secure(tmp_path) as server:
        broken = server.key_data | {"client-key-data": b64(pem(certificate("other"))[1])}
        with pytest.raises(NoCluster):
            await whoami(server.config(broken, **server.ca_data))
        assert list(scratch.iterdir()) == []


async def test_keys_in_files_stay_where_they_are(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        (tmp_path / "anna.crt").write_bytes(server.client_cert)
        (tmp_path / "anna.key").write_bytes(server.client_key)
        user = {"client-certificate": str(tmp_path / "anna.crt"), "client-key": str(tmp_path / "anna.key")}
        config = server.config(user, **{"certificate-authority": str(tmp_path / "ca.pem")})
        assert await whoami(config) == "anna"
        assert (tmp_path / "anna.key").exists()


async def test_a_token_may_come_from_a_plugin(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        assert await whoami(server.config(server.plugin, **server.ca_data)) == "Bearer from-plugin"


async def test_a_failing_plugin_is_named(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        plugin = server.plugin
        plugin["exec"]["args"] = ["-c", "import sys; sys.exit('no card in the reader')"]
        with pytest.raises(NoCluster, match="no card in the reader"):
            await whoami(server.config(plugin, **server.ca_data))


async def test_an_unknown_authority_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        stranger = b64(pem(certificate("stranger"))[0])
        with pytest.raises(Unreachable, match="certificate"):
            await whoami(server.config({"token": "t"}, **{"certificate-authority-data": stranger}))
        with pytest.raises(Unreachable, match="certificate"):
            await whoami(server.config({"token": "t"}))
        assert await whoami(server.config({"token": "t"}, **{"insecure-skip-tls-verify": True})) == "Bearer t"


async def test_the_name_in_the_certificate_may_differ_from_the_address(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        named = server.ca_data | {"tls-server-name": "api.example"}
        assert await whoami(server.config({"token": "t"}, **named)) == "Bearer t"
        named = server.ca_data | {"tls-server-name": "another.example"}
        with pytest.raises(Unreachable, match="certificate"):
            await whoami(server.config({"token": "t"}, **named))


async def test_in_a_pod_the_service_account_lets_us_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secure(tmp_path) as server:
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text("of-the-pod\n")
        (account / "ca.crt").write_bytes(server.ca)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-somebody-else"))
        assert await whoami(None, service_account=str(account)) == "Bearer of-the-pod"


async def test_printing_a_login_shows_no_secret(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        api = await Kr8sApi.connect(server.config({"token": "hush"}, **server.ca_data))
        assert "hush" not in repr(api._current_login())
        await api.close()
