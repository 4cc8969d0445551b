"""Keys and certificates: their extensions, and what cannot be served."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tests.webhooks.memory import NOW, TIMING
from tests.webhooks.serving import HOST, serves
from webhooks.keychain import Keychain, fresh, from_secret, to_secret
from webhooks.keys import BadPair, Pair, checked, load_into, mint
from webhooks.server import server_context


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


@pytest.mark.parametrize("part", ["certificate", "key"])
@pytest.mark.parametrize("wrong", [b"", b"x", b"other"])
def test_a_pair_that_does_not_match_leaves_the_old_in_use(part: str, wrong: bytes) -> None:
    context = server_context()
    one, two = mint([HOST], datetime.now(UTC)), mint([HOST], datetime.now(UTC))
    load_into(context, one.certificate, one.key)
    parts = {"certificate": one.certificate, "key": one.key}
    parts[part] = getattr(two, part) if wrong == b"other" else wrong
    with pytest.raises(ssl.SSLError):
        load_into(context, **parts)
    assert serves(context, one)
    load_into(context, two.certificate, two.key)
    assert serves(context, two)
    assert not serves(context, one)
