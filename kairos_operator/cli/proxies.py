"""The proxy that the environment names, as Go programs such as kubectl find it (golang.org/x/net/http/httpproxy)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def proxy_to(server: str) -> str | None:
    """The proxy between here and a server's URL; None where none is, or NO_PROXY or loopback leaves it out."""
    url, proxies = urlsplit(server), getproxies_environment()
    host = url.hostname or ""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return None
    if proxy_bypass(host) or (address is not None and _in_network(address, proxies)):
        return None
    proxy = proxies.get(url.scheme)
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _in_network(address: IPv4Address | IPv6Address, proxies: dict[str, str]) -> bool:
    """Whether NO_PROXY names a network (CIDR) with the address in it, of which Python's own rules know nothing."""
    for part in proxies.get("no", "").split(","):
        try:
            if "/" in part and address in ip_network(part.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
