"""What a URL path of the API asks for: k8s.io/apiserver/pkg/endpoints/request, RequestInfo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A parsed resource path. `name` is empty for a collection."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""  # what follows the subresource, as in .../proxy/healthz


# What may stand below a namespace itself rather than in it.
_OF_NAMESPACE = ("status", "finalize")


def parse(path: str) -> ApiPath | None:
    """The address behind `/api/v1/...` or `/apis/group/version/...`; None for any other path."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _OF_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    padded = [*rest, "", "", ""]
    return ApiPath(group, version, padded[0], namespace, padded[1], padded[2], "/".join(rest[3:]))
