"""The scripts that run on nodes: real files, whose parameters come as arguments and never inside the text."""

from __future__ import annotations

from importlib.resources import files

from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec


def _text(*names: str) -> str:
    return "\n".join((files(__name__) / f"{name}.sh").read_text(encoding="utf-8") for name in names)


_UPGRADE = _text("release", "upgrade")
_PREFLIGHT = _text("release", "preflight")
_POSTFLIGHT = _text("release", "postflight")
_SENTINEL = _text("sentinel")


def upgrade_command(spec: NodeOpUpgradeSpec) -> list[str]:
    """The command of an upgrade's Job."""
    flags = ["--force"] * spec.force + ["--active"] * spec.includes_active
    flags += ["--recovery"] * spec.upgrade_recovery + ["--debug"] * spec.debug
    for path in spec.exclude_paths or ():
        # The kubelet expands $(NAME) in a container's command, and $$ to $ (Kubernetes API, Container.command).
        flags += ["--exclude-path", path.replace("$", "$$")]
    return ["/bin/sh", "-c", _UPGRADE, "kairos-upgrade", *flags]


def preflight_command(spec: NodeOpUpgradeSpec) -> list[str]:
    """The command that skips a node which is at the image's version already."""
    return ["/bin/sh", "-c", _PREFLIGHT, "kairos-preflight", *["--recovery"] * spec.upgrade_recovery]


def postflight_command() -> list[str]:
    """The command that tells whether the node came back with the image's version."""
    return ["/bin/sh", "-c", _POSTFLIGHT, "kairos-postflight"]


def sentinel_command(job: str) -> list[str]:
    """The command that writes the sentinel file of a Job, which the reboot pod waits for."""
    return ["/bin/sh", "-c", _SENTINEL, "kairos-sentinel", job]
