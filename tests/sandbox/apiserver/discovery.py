"""Discovery: which groups, versions and resources there are, in the old documents and in the aggregated one."""

from __future__ import annotations

from tests.sandbox.store import Kind, Object, Store
from tests.sandbox.store.kinds import STANDARD_VERBS

_STATUS_VERBS = ("get", "patch", "update")
# Resources that are asked but never stored: group, version, plural, kind, namespaced.
REVIEWS = (
    ("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
)
# Subresources beside status: of which resource, the kind of the body (group, version, kind), verbs.
_SUBRESOURCES: dict[tuple[str, str], tuple[tuple[str, tuple[str, str, str], tuple[str, ...]], ...]] = {
    ("", "pods"): (
        ("eviction", ("policy", "v1", "Eviction"), ("create",)),
        ("log", ("", "", "Pod"), ("get",)),
    ),
    ("", "serviceaccounts"): (("token", ("authentication.k8s.io", "v1", "TokenRequest"), ("create",)),),
}


def group_versions(store: Store) -> dict[str, list[str]]:
    """The versions of each group, the core group first, in the order in which they were registered."""
    found: dict[str, list[str]] = {"": ["v1"]}
    for group, version, *_ in [(kind.group, kind.version) for kind in store.kinds()] + [
        one[:2] for one in REVIEWS
    ]:
        if version not in found.setdefault(group, []):
            found[group].append(version)
    return found


def api_versions() -> Object:
    """The answer to /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group(name: str, versions: list[str]) -> Object:
    """The answer to /apis/<group>, without kind and apiVersion."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(store: Store) -> Object:
    """The answer to /apis."""
    groups = [group(name, versions) for name, versions in group_versions(store).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resource_list(store: Store, name: str, version: str) -> Object | None:
    """The answer to /api/v1 or /apis/<group>/<version>; None where nothing is served."""
    if version not in group_versions(store).get(name, []):
        return None
    resources = [entry for kind in _kinds(store, name, version) for entry in _entries(kind)]
    resources += [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": spaced,
            "kind": kind,
            "verbs": ["create"],
        }
        for where, at, plural, kind, spaced in REVIEWS
        if (where, at) == (name, version)
    ]
    served = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": served, "resources": resources}


def _kinds(store: Store, name: str, version: str) -> list[Kind]:
    return [kind for kind in store.kinds() if (kind.group, kind.version) == (name, version)]


def _entries(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(STANDARD_VERBS),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return [entry, *_sub_entries(kind)]


def _sub_entries(kind: Kind) -> list[Object]:
    base = {"singularName": "", "namespaced": kind.namespaced}
    found: list[Object] = []
    if kind.status:
        found.append(
            {"name": f"{kind.plural}/status", **base, "kind": kind.kind, "verbs": list(_STATUS_VERBS)}
        )
    for name, (group_name, version, body), verbs in _SUBRESOURCES.get((kind.group, kind.plural), ()):
        extra = {"group": group_name, "version": version} if version else {}
        found.append({"name": f"{kind.plural}/{name}", **base, **extra, "kind": body, "verbs": list(verbs)})
    return found


def aggregated(store: Store, *, core: bool) -> Object:
    """The aggregated document (apidiscovery.k8s.io/v2) for /api or /apis."""
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None},
            "versions": [_aggregated_version(store, name, version) for version in versions],
        }
        for name, versions in group_versions(store).items()
        if (not name) is core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(store: Store, name: str, version: str) -> Object:
    listed = resource_list(store, name, version) or {"resources": []}
    resources: dict[str, Object] = {}
    for entry in listed["resources"]:
        plural, _, sub = entry["name"].partition("/")
        shown = {
            "group": entry.get("group", name),
            "version": entry.get("version", version),
            "kind": entry["kind"],
        }
        if sub:
            below = {"subresource": sub, "responseKind": shown, "verbs": entry["verbs"]}
            resources[plural].setdefault("subresources", []).append(below)
            continue
        resources[plural] = {
            "resource": plural,
            "responseKind": {**shown, "group": name},
            "scope": "Namespaced" if entry["namespaced"] else "Cluster",
            "singularResource": entry["singularName"],
            "verbs": entry["verbs"],
            **{key: entry[key] for key in ("shortNames", "categories") if key in entry},
        }
    return {"version": version, "resources": list(resources.values()), "freshness": "Current"}
