"""What the labeler is told by its environment, read once at the start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """The environment lacks or garbles something; the text names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which node this is, and where things are found."""

    node_name: str
    api_url: str
    service_account_dir: Path
    host: Path
    """Where the host's root is, of which only `etc` need be there."""
    cmdline: Path
    interval: float
    """Seconds between two looks at the Node, for what somebody else changed there."""


def settings_from(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`: NODE_NAME, HOST_DIR (/host) and LABELER_INTERVAL (600 seconds) are for users.

    Raises SettingsError for a missing or impossible value.
    """
    name = environ.get("NODE_NAME", "")
    if not name or "/" in name:
        raise SettingsError(f"NODE_NAME must be the name of a node, not {name!r}.")
    return Settings(
        node_name=name,
        api_url=environ.get("KAIROS_API_URL") or _in_cluster_url(environ),
        service_account_dir=Path(
            environ.get("KAIROS_SERVICEACCOUNT_DIR") or "/var/run/secrets/kubernetes.io/serviceaccount"
        ),
        host=Path(environ.get("HOST_DIR") or "/host"),
        cmdline=Path(environ.get("KAIROS_CMDLINE") or "/proc/cmdline"),
        interval=_seconds(environ.get("LABELER_INTERVAL") or "600"),
    )


def _in_cluster_url(environ: Mapping[str, str]) -> str:
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not port.isdecimal():
        raise SettingsError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must tell the API server.")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0.1):
        raise SettingsError(f"LABELER_INTERVAL must be a number of seconds, at least 0.1, not {text!r}.")
    return seconds
