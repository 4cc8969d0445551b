"""How this operator was asked to run: the flags and the environment, read once, as one frozen value.

Nothing else in the project reads the environment. Names, defaults and precedence follow controller-runtime and
the existing Go operator.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar, cast

from kairos_operator.environment import BadSetting as BadSetting
from kairos_operator.environment import image_in, own_namespace, way_to_cluster
from kairos_operator.logs import LEVELS, LogFormat

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LEASE_NAME = "ce9721c3.kairos.io"  # the Go operator's: while both are installed, only one of the two acts
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; an empty host means all interfaces."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine, or this pod, can reach it."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How leader election is timed, in seconds; the defaults are client-go's."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of `kairos-operator run`.

    `kubeconfig` None means the service account of the pod. An address None means "do not serve". Metrics that are
    not `metrics_secure` are served on loopback only; an empty `metrics_cert_path` means a certificate of our own. The
    status page is plain on loopback and secure elsewhere. A
    `webhook_port` of 0 means no webhooks; an empty `webhook_cert_dir`, that the operator makes its own
    certificate. An empty image means that none was configured.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str
    pod_name: str
    pod_uid: str
    leader_elect: bool
    lease: LeaseTimes
    metrics_address: Address | None
    metrics_secure: bool
    metrics_cert_path: str
    status_address: Address | None
    health_address: Address | None
    webhook_port: int
    webhook_cert_dir: str
    log_level: str
    log_format: LogFormat
    operator_image: str
    sentinel_image: str
    default_image: str

    @property
    def behind_service(self) -> bool:
        """Whether a Service sends reviews here: a pod serves them."""
        return self.kubeconfig is None and self.webhook_port > 0

    @classmethod
    def from_args(
        cls,
        args: argparse.Namespace,
        environ: Mapping[str, str],
        *,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> Settings:
        """The settings from parsed flags and an environment. Raises BadSetting."""
        return cls(
            kubeconfig=way_to_cluster(args.kubeconfig, environ, service_account),
            context=args.context or None,
            namespace=own_namespace(environ, service_account),
            pod_name=environ.get("CONTROLLER_POD_NAME", ""),
            pod_uid=environ.get("CONTROLLER_POD_UID", ""),
            leader_elect=args.leader_elect,
            lease=_lease_times(args),
            metrics_address=_metrics_address(args.metrics_bind_address, secure=args.metrics_secure),
            metrics_secure=args.metrics_secure,
            metrics_cert_path=args.metrics_cert_path,
            status_address=_checked("--status-bind-address", args.status_bind_address, parse_address),
            health_address=_checked(
                "--health-probe-bind-address", args.health_probe_bind_address, parse_address
            ),
            webhook_port=_checked("--webhook-port", args.webhook_port, _port),
            webhook_cert_dir=args.webhook_cert_dir,
            log_level=_one_of("--log-level", args.log_level, LEVELS),
            log_format=cast(LogFormat, _one_of("--log-format", args.log_format, ("text", "json"))),
            operator_image=image_in("OPERATOR_IMAGE", environ, "the image that this operator runs from"),
            sentinel_image=image_in("SENTINEL_IMAGE", environ),
            default_image=image_in("NODEOP_DEFAULT_IMAGE", environ) or "busybox:latest",
        )


_TIMES = LeaseTimes()
_FLAGS: tuple[tuple[str, str, str], ...] = (
    ("kubeconfig", "", "a kubeconfig file; else KUBECONFIG, the pod's service account, ~/.kube/config"),
    ("context", "", "the context of the kubeconfig to use"),
    (
        "leader-elect-lease-duration",
        f"{_TIMES.duration:g}s",
        "when others may take over a silent leader's lease",
    ),
    (
        "leader-elect-renew-deadline",
        f"{_TIMES.renew_deadline:g}s",
        "when a leader that cannot renew gives up",
    ),
    (
        "leader-elect-retry-period",
        f"{_TIMES.retry_period:g}s",
        "between two tries to get or renew the lease",
    ),
    ("metrics-bind-address", "0", "where /metrics is served, such as :8443; 0 for nowhere"),
    (
        "metrics-cert-path",
        "",
        "a directory with tls.crt and tls.key for the metrics; else the operator makes its own",
    ),
    (
        "status-bind-address",
        "0",
        "where the status page is served: openly on loopback (127.0.0.1:8082), elsewhere as metrics; 0 for nowhere",
    ),
    ("health-probe-bind-address", ":8081", "where /healthz and /readyz are served; 0 for nowhere"),
    ("webhook-port", "9443", "where the admission webhooks are served; 0 for no webhooks"),
    ("webhook-cert-dir", "", "a directory with tls.crt and tls.key; else the operator makes its own"),
    ("log-level", "info", f"one of {', '.join(LEVELS)}"),
    ("log-format", "text", "text or json"),
)
_SWITCHES = (
    ("leader-elect", False, "act only while holding a Lease, so that several replicas can run"),
    (
        "metrics-secure",
        True,
        "serve metrics over HTTPS to whom the API server lets read them; false: plainly, on loopback only",
    ),
)


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `kairos-operator run`; their values are checked by `Settings.from_args`."""
    for name, default, text in _FLAGS:
        told = f"{text} (default: {default})" if default else text
        parser.add_argument(f"--{name}", default=default, metavar="VALUE", help=told)
    for name, preset, text in _SWITCHES:
        parser.add_argument(
            f"--{name}", nargs="?", const=True, default=preset, type=_parse_bool, metavar="BOOL", help=text
        )


def _metrics_address(text: str, *, secure: bool) -> Address | None:
    address = _checked("--metrics-bind-address", text, parse_address)
    if address is not None and not secure and not address.loopback:
        raise BadSetting(
            f"--metrics-secure=false cannot be used with --metrics-bind-address {text!r}, where everybody could read"
            " them: give an address such as 127.0.0.1:8080, or leave --metrics-secure out"
        )
    return address


def parse_address(text: str) -> Address | None:
    """`host:port`, `:port` or `[ipv6]:port`; `0` or nothing at all for none. Raises ValueError."""
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not re.fullmatch(r"\[[0-9a-fA-F:.%]+\]", host)):
        raise ValueError("give host:port, :port or 0")
    return Address(host.strip("[]"), _port(port))


def parse_seconds(text: str) -> float:
    """A duration as Go writes it, such as 15s, 1m30s or 500ms, in seconds. Raises ValueError."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("give a duration such as 15s or 1m30s")
    return sum(float(number) * units[unit] for number, unit in parts)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("give a port between 0 and 65535")
    return int(text)


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _checked(flag: str, text: str, parse: Callable[[str], V]) -> V:
    try:
        return parse(text)
    except ValueError as error:
        raise BadSetting(f"{flag} {text!r} cannot be used: {error}") from error


def _one_of(flag: str, text: str, allowed: tuple[str, ...]) -> str:
    if text.lower() not in allowed:
        raise BadSetting(f"{flag} {text!r} cannot be used: give one of {', '.join(allowed)}")
    return text.lower()


def _lease_times(args: argparse.Namespace) -> LeaseTimes:
    names = ("lease-duration", "renew-deadline", "retry-period")
    values = [getattr(args, f"leader_elect_{name.replace('-', '_')}") for name in names]
    pairs = zip(names, values, strict=True)
    times = LeaseTimes(*(_checked(f"--leader-elect-{name}", value, parse_seconds) for name, value in pairs))
    if not 0 < times.retry_period < times.renew_deadline < times.duration or times.duration < 1:
        raise BadSetting(
            "--leader-elect-retry-period, --leader-elect-renew-deadline and --leader-elect-lease-duration must"
            f" grow in this order, and be more than 0 (given: {', '.join(reversed(values))}); 2s, 10s, 15s will do"
        )
    return times
