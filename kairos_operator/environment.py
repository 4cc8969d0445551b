"""What the environment of the process tells `Settings`: the way to the cluster, the own namespace, the images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


class BadSetting(Exception):
    """A flag or variable cannot be used; the message names it and says what would do."""


def way_to_cluster(flag: str, environ: Mapping[str, str], service_account: Path) -> str | None:
    """In the order of controller-runtime: flag, KUBECONFIG, service account (None), the user's own file.

    Raises BadSetting where there is none of them.
    """
    named = flag or environ.get("KUBECONFIG", "")
    if named:
        if not any(Path(part).expanduser().is_file() for part in named.split(":")):
            source = "--kubeconfig" if flag else "KUBECONFIG"
            raise BadSetting(f"{source} names {named!r}, which does not exist: give a kubeconfig that does")
        return named
    if "KUBERNETES_SERVICE_HOST" in environ and (service_account / "token").is_file():
        return None
    own = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if own.is_file():
        return str(own)
    raise BadSetting(
        f"there is no way to a cluster: name a kubeconfig with --kubeconfig or KUBECONFIG (there is no {own}),"
        " or run in a pod with a service account"
    )


def own_namespace(environ: Mapping[str, str], service_account: Path) -> str:
    """The namespace this operator lives in: where its lease, its certificate and its own pods are."""
    named = environ.get("CONTROLLER_POD_NAMESPACE", "").strip()
    if not named:
        try:
            named = (service_account / "namespace").read_text().strip()
        except OSError:
            named = "default"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", named):
        raise BadSetting(f"CONTROLLER_POD_NAMESPACE {named!r} cannot be used: give the name of a namespace")
    return named


def image_in(name: str, environ: Mapping[str, str], needed_as: str = "") -> str:
    """The image that a variable names; "" where it need not be set and is not. Raises BadSetting."""
    image = environ.get(name, "").strip()
    if needed_as and not image:
        raise BadSetting(f"{name} is not set: set it to {needed_as}")
    if re.search(r"\s", image):
        raise BadSetting(f"{name} {image!r} cannot be used: give one image reference, without spaces")
    return image
