"""What a node's labels and annotations should be, and how to get there from what they are. Pure.

Of the names under `kairos.io/`, only those below are ever written or removed: others are somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DOMAIN = "kairos.io"
MANAGED = f"{DOMAIN}/managed"
BOOT_STATE = f"{DOMAIN}/boot-state"
LABELS: Mapping[str, str] = {
    key: f"{DOMAIN}/{key.lower().replace('_', '-')}"
    for key in (
        "ID",
        "FAMILY",
        "FLAVOR",
        "FLAVOR_RELEASE",
        "VARIANT",
        "RELEASE",
        "MODEL",
        "ARCH",
        "TRUSTED_BOOT",
        "FIPS",
        "SOFTWARE_VERSION",
        "SOFTWARE_VERSION_PREFIX",
    )
}
"""Names in the release file (after `KAIROS_`) that become labels."""
ANNOTATIONS: Mapping[str, str] = {
    key: f"{DOMAIN}/{key.lower().replace('_', '-')}"
    for key in ("NAME", "ID_LIKE", "INIT_VERSION", "VERSION", "BUG_REPORT_URL", "HOME_URL")
}
"""Names in the release file that become annotations, since they may be no label's value."""
MAX_LABEL = 63
MAX_ANNOTATION = 1024
_NO_LABEL = re.compile(r"[^A-Za-z0-9._-]")
_EDGES = "-_."


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node is to say of itself."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def facts(release: Mapping[str, str], cmdline: str) -> Facts | None:
    """What a Kairos node is to say, from its release file and its kernel command line; None for another node."""
    if not release:
        return None
    labels = {MANAGED: "true", BOOT_STATE: boot_state(cmdline)}
    labels |= {name: label_value(release.get(key, "")) for key, name in LABELS.items()}
    annotations = {name: annotation_value(release.get(key, "")) for key, name in ANNOTATIONS.items()}
    return Facts(_filled(labels), _filled(annotations))


def boot_state(cmdline: str) -> str:
    """Which of its systems a Kairos node has booted: active, passive, recovery, livecd or unknown.

    A trusted boot (`rd.immucore.uki`) has one command line for all of its systems, which says nothing.
    """
    if "rd.immucore.uki" in cmdline:
        return "unknown"
    signs = (
        ("active", ("COS_ACTIVE",)),
        ("passive", ("COS_PASSIVE",)),
        ("recovery", ("COS_RECOVERY", "COS_SYSTEM", "recovery-mode")),
        ("livecd", ("live:LABEL", "live:CDLABEL", "netboot")),
    )
    return next((state for state, words in signs if any(word in cmdline for word in words)), "unknown")


def label_value(text: str) -> str:
    """`text` as a label's value: other characters become `-`, and it begins and ends with one that may."""
    return _NO_LABEL.sub("-", text).strip(_EDGES)[:MAX_LABEL].rstrip(_EDGES)


def annotation_value(text: str) -> str:
    """`text` without what cannot be printed, within bounds."""
    return "".join(char for char in text if char.isprintable())[:MAX_ANNOTATION]


def patch(node: Mapping[str, Any], wanted: Facts) -> dict[str, Any] | None:
    """The merge patch (RFC 7386) that makes a Node say `wanted`.

    None where the Node says so already, or asks with `kairos.io/managed=false` to be left alone.
    """
    metadata = node.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if labels.get(MANAGED) == "false":
        return None
    ours = {MANAGED, BOOT_STATE, *LABELS.values()}
    changes = {
        "labels": _difference(labels, wanted.labels, ours),
        "annotations": _difference(
            metadata.get("annotations") or {}, wanted.annotations, set(ANNOTATIONS.values())
        ),
    }
    changes = {part: change for part, change in changes.items() if change}
    if not changes:
        return None
    # With the version that was read, so that a "leave me alone" that comes between is not overlooked.
    return {"metadata": {"resourceVersion": metadata.get("resourceVersion"), **changes}}


def _difference(have: Mapping[str, str], want: Mapping[str, str], ours: set[str]) -> dict[str, str | None]:
    changed: dict[str, str | None] = {name: value for name, value in want.items() if have.get(name) != value}
    changed |= {name: None for name in sorted(ours) if name in have and name not in want}
    return changed


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
