"""A certificate that somebody else keeps in a directory, such as cert-manager's mounted Secret: loaded and reloaded.

The directory has `tls.crt` and `tls.key`. Nothing is made, and no Kubernetes call is: the caBundle is the affair
of whoever makes the certificate. A pair that does not match, as in the middle of a change, leaves the old in use.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509

from webhooks.keys import load_into

INTERVAL = 10.0
"""Seconds between two looks at the files."""

log = logging.getLogger("webhooks.certificates")


class CertificateFiles:
    """Keeps the certificate of `context` as the files say."""

    def __init__(self, context: ssl.SSLContext, directory: Path) -> None:
        self._context = context
        self._directory = directory
        self._seen = (b"", b"")
        self._ends: datetime | None = None

    @property
    def loaded(self) -> bool:
        """Whether a certificate is in use."""
        return self._ends is not None

    @property
    def ends(self) -> datetime | None:
        """When the certificate in use ends; None while there is none."""
        return self._ends

    async def keep(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Looks at the files for ever."""
        while True:
            try:
                self.step()
            except Exception as error:  # noqa: BLE001  # a certificate is no reason to end the controller
                log.warning(
                    "the certificate in %s cannot be used: %s: %s",
                    self._directory,
                    type(error).__name__,
                    error,
                )
            await sleep(INTERVAL)

    def step(self) -> bool:
        """Loads the files where they have changed; whether the ones now there are in use.

        Raises OSError where they cannot be read, and what the parsers raise where the first ones are no pair.
        """
        found = self._read()
        if found == self._seen:
            return True
        try:
            ends = x509.load_pem_x509_certificate(found[0]).not_valid_after_utc
            load_into(self._context, *found)
        except Exception as error:  # those of the parsers have no class in common
            if not self.loaded:
                raise
            log.warning(
                "%s: not a certificate and its key, the old one stays in use: %s", self._directory, error
            )
            return False
        self._seen, self._ends = found, ends
        log.info("serving the certificate in %s", self._directory)
        return True

    def _read(self) -> tuple[bytes, bytes]:
        """Certificate and key. Of a mounted Secret, both are of one version: the kubelet swaps the link `..data`."""
        mounted = self._directory / "..data"
        where = mounted.resolve() if mounted.is_dir() else self._directory
        return (where / "tls.crt").read_bytes(), (where / "tls.key").read_bytes()
