"""Keys and certificates of the webhook server, made with `cryptography`. Pure but for the randomness of keys.

A CA signs one serving certificate, and its key is then forgotten: whoever reads the Secret can serve, and never
sign. So a renewal always brings a new CA, and goes through a time in which the API server trusts both.
Extensions are those that Go, OpenSSL's strict mode and Python 3.13 ask for (RFC 5280, section 4.2.1).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
BACKDATED = timedelta(days=1)
"""Certificates begin this long ago, for API servers and replicas whose clocks are behind."""


class BadPair(ValueError):
    """A certificate, key or CA that cannot be served; the message says why, and shows no key."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A serving certificate, its key and the CA that signed it, as PEM."""

    certificate: bytes
    key: bytes
    ca: bytes

    def __repr__(self) -> str:
        return f"Pair(until {x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc})"

    @property
    def begins(self) -> datetime:
        return x509.load_pem_x509_certificate(self.certificate).not_valid_before_utc

    @property
    def ends(self) -> datetime:
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc

    def valid(self, now: datetime) -> bool:
        """Whether it may be served at that time, as far as its dates go."""
        return self.begins <= now < self.ends


def mint(names: Sequence[str], now: datetime, lifetime: timedelta = LIFETIME) -> Pair:
    """A new CA and a certificate of it for the DNS names, of which the first is the subject."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    ca_name = _name(f"kairos-operator webhook CA {serial:x}"[:64])
    times = (now - BACKDATED, now + lifetime)
    ca = _signed_ca(ca_name, ca_key, serial, times)
    leaf = _signed_leaf(names, key, ca, ca_key, times)
    return Pair(
        leaf.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ca.public_bytes(Encoding.PEM),
    )


def checked(pair: Pair, names: Sequence[str]) -> Pair:
    """`pair` itself, if it can be served for the DNS names. Raises BadPair; dates are the caller's to judge."""
    try:
        found = _names(pair)
    except BadPair:
        raise
    except Exception as error:  # noqa: BLE001  # one bit brings out errors with no class in common
        raise BadPair(f"not a certificate, its key and its CA in PEM: {type(error).__name__}") from None
    if missing := set(names) - found:
        raise BadPair(f"the certificate is not for {', '.join(sorted(missing))}")
    return pair


def _names(pair: Pair) -> set[str]:
    """The DNS names of a certificate that fits its key and its CA. Raises BadPair, or what the parsers raise."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    ca = x509.load_pem_x509_certificate(pair.ca)
    key = load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise BadPair("the key is not the certificate's")
    ca.verify_directly_issued_by(ca)
    certificate.verify_directly_issued_by(ca)
    load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.certificate, pair.key)
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(alternatives.get_values_for_type(x509.DNSName))


def load_into(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Serves a certificate from now on, to new connections.

    The key touches no disk. Raises ssl.SSLError for a pair that does not match; the context then keeps the old.
    """
    handle = os.memfd_create("webhook-certificate", os.MFD_CLOEXEC)
    try:
        os.write(handle, key + b"\n" + certificate)
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):  # one that fails is left with no pair
            each.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_ca(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int, times: tuple[datetime, datetime]
) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, *times)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _signed_leaf(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    times: tuple[datetime, datetime],
) -> x509.Certificate:
    subject = _name(names[0][:64])
    builder = x509.CertificateBuilder(
        ca.subject, subject, key.public_key(), x509.random_serial_number(), *times
    )
    issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
