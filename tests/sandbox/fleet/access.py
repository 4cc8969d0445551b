"""Where an API server is and how to get in: what a kubeconfig says, as far as the fleet needs it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """A base URL, a bearer token and the CA certificate in PEM (empty for plain HTTP)."""

    url: str
    token: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)

    def trust(self) -> ssl.SSLContext | bool:
        """What aiohttp wants as `ssl`."""
        if not self.url.startswith("https"):
            return False
        return ssl.create_default_context(cadata=self.ca or None)


def from_kubeconfig(config: Path | Mapping[str, Any]) -> Access:
    """The current context of a kubeconfig. Raises ValueError for one without a token on HTTPS."""
    found = yaml.safe_load(config.read_text()) if isinstance(config, Path) else config
    context = _named(found["contexts"], found["current-context"])["context"]
    cluster = _named(found["clusters"], context["cluster"])["cluster"]
    user = _named(found.get("users") or [], context.get("user", "")).get("user") or {}
    token, url = user.get("token", ""), cluster["server"].rstrip("/")
    if not token and url.startswith("https"):
        raise ValueError("the fleet needs a kubeconfig with a bearer token")
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    ca = base64.b64decode(data).decode() if data else Path(file).read_text() if file else ""
    return Access(url, token, ca)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((one for one in entries if one["name"] == name), {})
