"""What is served and trusted, how that changes with time, and how it is written into a Secret. Pure but for keys.

A renewal goes through stages, so that at no moment an API server trusts less than what some replica serves:

    settled     the API server trusts the current CA
    prepared    a following pair exists; the API server is told to trust both CAs, all replicas serve the old pair
    promoted    all replicas serve the following pair; both CAs stay trusted while slow replicas still serve the old
    settled     only the new CA is trusted

The stage and its beginning stand in the Secret, so that replicas agree and a restart goes on where it was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kairos_operator.api.base import moment, timestamp
from webhooks.keys import LIFETIME, BadPair, Pair, checked, mint

ANNOTATION_SINCE = "operator.kairos.io/certificate-stage-since"
PREVIOUS_CA = "previous-ca.crt"
_CURRENT = ("tls.crt", "tls.key", "ca.crt")
_FOLLOWING = ("next-tls.crt", "next-tls.key", "next-ca.crt")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things last."""

    lifetime: timedelta = LIFETIME
    """Of a certificate; it is renewed when a third of it is left."""
    settle: timedelta = timedelta(seconds=60)
    """From telling the API servers of a new CA to serving with it; they learn of it by a watch."""
    retire: timedelta = timedelta(hours=1)
    """From serving a new certificate to no longer trusting the old CA."""


@dataclass(frozen=True, slots=True)
class Keychain:
    """One stage: the pair that is served, what follows it and what went before."""

    current: Pair
    since: datetime
    following: Pair | None = None
    previous_ca: bytes = b""

    @property
    def trusted(self) -> bytes:
        """The caBundle: every CA that a replica may serve under."""
        following = self.following.ca if self.following else b""
        return b"".join(_ended(ca) for ca in (self.current.ca, following, self.previous_ca) if ca)


def fresh(names: Sequence[str], now: datetime, timing: Timing, before: Keychain | None = None) -> Keychain:
    """A keychain that is served at once, since there is none or it is of no use; what it replaces stays trusted."""
    return Keychain(mint(names, now, timing.lifetime), now, previous_ca=before.current.ca if before else b"")


def advanced(
    chain: Keychain, names: Sequence[str], now: datetime, timing: Timing, *, told: bool, renew: bool = False
) -> Keychain:
    """The stage that follows `chain`, or `chain` itself where it is not time yet.

    `told` says that the API servers have been given all of `chain.trusted`; `renew` asks for a renewal before
    its time. A stage that began in the future (a clock was wrong) counts as long begun. What follows is dropped
    where it is out of its time: all replicas would serve what no API server takes.
    """
    if not chain.current.valid(now):
        return fresh(names, now, timing, chain)
    lasted = abs(now - chain.since)
    if chain.following is not None:
        if not chain.following.valid(now):
            return replace(chain, since=now, following=None)
        if not told or lasted < timing.settle:
            return chain
        return Keychain(chain.following, now, previous_ca=chain.current.ca)
    if chain.previous_ca:
        return replace(chain, since=now, previous_ca=b"") if lasted >= timing.retire else chain
    if renew or chain.current.ends - now < timing.lifetime / 3:
        return Keychain(chain.current, now, following=mint(names, now, timing.lifetime))
    return chain


def minted(before: Keychain, after: Keychain) -> bool:
    """Whether a pair is in the later stage that is not in the earlier."""
    return bool({after.current, after.following} - {before.current, before.following, None})


def to_secret(chain: Keychain) -> dict[str, Any]:
    """The parts of a Secret that say `chain`; a key that is None is to be removed."""
    following = chain.following
    values: dict[str, bytes | None] = {
        **dict(zip(_CURRENT, _parts(chain.current), strict=True)),
        **dict(zip(_FOLLOWING, _parts(following) if following else (None, None, None), strict=True)),
        PREVIOUS_CA: chain.previous_ca or None,
    }
    return {
        "metadata": {"annotations": {ANNOTATION_SINCE: timestamp(chain.since)}},
        "data": {name: base64.b64encode(value).decode() if value else None for name, value in values.items()},
    }


def from_secret(secret: Mapping[str, Any], names: Sequence[str]) -> Keychain:
    """The keychain in a Secret. Raises BadPair where what is served cannot be read; the rest is not worth that."""
    data = secret.get("data") or {}
    annotations = secret.get("metadata", {}).get("annotations") or {}
    current = checked(_pair(data, _CURRENT), names)
    try:
        since = moment(annotations.get(ANNOTATION_SINCE)) or current.begins
        since = since if since.tzinfo else current.begins
    except ValueError:
        since = current.begins
    try:
        following = checked(_pair(data, _FOLLOWING), names) if data.get(_FOLLOWING[0]) else None
    except BadPair:
        following = None
    try:
        previous = _decoded(data, PREVIOUS_CA) if data.get(PREVIOUS_CA) else b""
    except BadPair:
        previous = b""
    return Keychain(current, since, following, previous)


def _pair(data: Mapping[str, Any], keys: Sequence[str]) -> Pair:
    return Pair(*(_decoded(data, key) for key in keys))


def _parts(pair: Pair) -> tuple[bytes, bytes, bytes]:
    return pair.certificate, pair.key, pair.ca


def _decoded(data: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(data[key], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise BadPair(f"the Secret has no {key} in base64") from None


def _ended(pem: bytes) -> bytes:
    return pem if pem.endswith(b"\n") else pem + b"\n"
