"""What the reboot program is told by its environment, read once at the start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """The environment lacks or garbles something; the text names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who the pod is, where it finds things, and how long it waits (seconds)."""

    pod_name: str
    pod_namespace: str
    job_name: str
    api_url: str
    service_account_dir: Path
    sentinel_dir: Path
    termination_log: Path
    delay: float
    """Between the record of the reboot and the reboot: the Job's pod ends in it."""
    poll: float
    """Between two looks for the sentinel file; also the first pause after an error."""
    patience: float
    """For an accepted reboot to end this process, after which it counts as failed."""


def settings_from(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`.

    Raises SettingsError for a missing name, a name that is no file name, or a time that is no time.
    """
    return Settings(
        pod_name=_name(environ, "POD_NAME"),
        pod_namespace=_name(environ, "POD_NAMESPACE"),
        job_name=_name(environ, "JOB_NAME"),
        api_url=environ.get("KAIROS_API_URL") or _in_cluster_url(environ),
        service_account_dir=Path(
            environ.get("KAIROS_SERVICEACCOUNT_DIR") or "/var/run/secrets/kubernetes.io/serviceaccount"
        ),
        sentinel_dir=Path(environ.get("SENTINEL_DIR") or "/sentinel"),
        termination_log=Path(environ.get("TERMINATION_LOG") or "/dev/termination-log"),
        delay=_seconds(environ, "REBOOT_DELAY", 5.0),
        poll=_seconds(environ, "REBOOT_POLL", 1.0, least=0.001),
        patience=_seconds(environ, "REBOOT_PATIENCE", 600.0),
    )


def _name(environ: Mapping[str, str], variable: str) -> str:
    value = environ.get(variable, "")
    if not value or "/" in value or value.startswith("."):
        raise SettingsError(f"{variable} must be the name of an object, not {value!r}.")
    return value


def _in_cluster_url(environ: Mapping[str, str]) -> str:
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not port.isdecimal():
        raise SettingsError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must tell the API server.")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _seconds(environ: Mapping[str, str], variable: str, default: float, least: float = 0.0) -> float:
    text = environ.get(variable, "")
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= least):
        raise SettingsError(f"{variable} must be a number of seconds, at least {least:g}, not {text!r}.")
    return seconds
