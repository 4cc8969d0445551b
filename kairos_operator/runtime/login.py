"""What the operator shows to an API server to be let in, as kr8s finds it in a kubeconfig or a pod.

kr8s reads kubeconfigs (contexts, exec plugins, inline data) and service accounts. Corrected here, as of 0.20:
- private keys that it writes to temporary files are read once and removed;
- a token loses the line end of its file, and `tokenFile` of a kubeconfig counts;
- a client certificate without a CA of its own is checked against the system's CAs;
- a kubeconfig that was named and does not exist is an error, not a reason to look elsewhere;
- whom its user acts as (`as`, `as-groups`, `as-uid`, `as-user-extra`) counts.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from kr8s._auth import KubeAuth

from kairos_operator.runtime.errors import NoCluster

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# what kr8s and the file system raise for a kubeconfig, plugin or certificate that is not as it should be
UNUSABLE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RuntimeError,
    OSError,
    yaml.YAMLError,
)
INLINE = {
    "client_key_file": "client-key-data",
    "client_cert_file": "client-certificate-data",
    "server_ca_file": "certificate-authority-data",
}


@dataclass(frozen=True, slots=True)
class Login:
    """Where the API server is and how to be let in. Printing it shows no secret."""

    server: str
    token: str
    tls: ssl.SSLContext | bool
    server_name: str | None = None
    proxy: str | None = None
    token_file: Path | None = None
    acting_as: tuple[tuple[str, str], ...] = ()
    """The headers of impersonation; one may stand there several times."""

    def __repr__(self) -> str:
        return f"Login(server={without_userinfo(self.server)!r})"

    def headers(self) -> list[tuple[str, str]]:
        """What a request carries to be let in."""
        token = [("Authorization", f"Bearer {self.token}")] if self.token else []
        return [*token, *self.acting_as]


async def log_in(auth: KubeAuth, usual_proxy: Callable[[str], str | None] = lambda _: None) -> Login:
    """Read the credentials anew. Raises NoCluster with what to do about it.

    `usual_proxy` says which proxy leads to a server where the kubeconfig names none.
    """
    try:
        _refuse_missing(auth)
        try:
            await auth.reauthenticate()
            tls = await _tls(auth)
        finally:
            _remove_inline_files(auth)
    except UNUSABLE as error:
        raise NoCluster(
            f"cannot log in to a cluster: {without_userinfo(str(error)) or type(error).__name__};"
            " name a kubeconfig with --kubeconfig (and --context), or run in a pod with a service account"
        ) from error
    token_file, server = _token_file(auth), auth.server.rstrip("/")
    proxy = auth.proxy or usual_proxy(server)
    if proxy and not proxy.startswith(("http://", "https://")):
        scheme = proxy.partition("://")[0]
        raise NoCluster(
            f"a {scheme}:// proxy leads to {without_userinfo(server)}, and only http:// and https:// are understood:"
            " change proxy-url in the kubeconfig, or HTTPS_PROXY"
        )
    return Login(
        server=server,
        token=(token_file and read_token(token_file)) or (auth.token or "").strip(),
        tls=tls,
        server_name=auth.tls_server_name,
        proxy=proxy,
        token_file=token_file,
        acting_as=tuple(_acting_as(auth._user or {})),
    )


def _acting_as(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What asks the API server to take the caller for somebody else, as in client-go (transport/round_trippers.go)."""
    for field, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid")):
        if user.get(field):
            yield header, str(user[field])
    for group in user.get("as-groups") or ():
        yield "Impersonate-Group", str(group)
    for name, values in (user.get("as-user-extra") or {}).items():
        for value in values or ():
            yield f"Impersonate-Extra-{quote(str(name), safe='')}", str(value)


def without_userinfo(text: str) -> str:
    """The text, with the URLs in it as they may be said: without a user and a password."""
    return re.sub(r"(?<=://)[^\s/]*@", "", text)


def read_token(path: Path) -> str:
    """The token in a file; "" when it cannot be read just now."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _refuse_missing(auth: KubeAuth) -> None:
    named = auth._kubeconfig_path_or_dict
    if isinstance(named, str | Path) and named:
        paths = [Path(part).expanduser() for part in str(named).split(":") if part]
        if not any(path.is_file() for path in paths):
            raise ValueError(f"the kubeconfig {named} does not exist")


async def _tls(auth: KubeAuth) -> ssl.SSLContext | bool:
    tls: ssl.SSLContext | bool = await auth.ssl_context()  # type: ignore[no-untyped-call]
    if isinstance(tls, ssl.SSLContext):
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if not auth.server_ca_file and tls.verify_mode is not ssl.CERT_NONE:
            tls.load_default_certs()
        return tls
    return True


def _remove_inline_files(auth: KubeAuth) -> None:
    for attribute, inline in INLINE.items():
        named: Mapping[str, Any] = auth._cluster if attribute == "server_ca_file" else auth._user
        path = getattr(auth, attribute)
        if path and inline in (named or {}):
            Path(path).unlink(missing_ok=True)
            setattr(auth, attribute, None)


def _token_file(auth: KubeAuth) -> Path | None:
    """The file that the token comes from, and from which it is read again while it is being rotated."""
    if not auth._cluster:  # no kubeconfig was read: the service account of a pod
        return Path(auth._serviceaccount) / "token" if auth._serviceaccount and not auth._url else None
    named = (auth._user or {}).get("tokenFile")
    if not named:
        return None
    path = Path(str(named))
    if path.is_absolute():
        return path
    return Path(str(auth.kubeconfig.get_path(auth._use_context))).expanduser().parent / path
