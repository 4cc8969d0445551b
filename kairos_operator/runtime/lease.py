"""Lease objects: what they say, and the ones to write. Nothing here calls anybody."""

from __future__ import annotations

import copy
import math
from datetime import datetime
from typing import Any

from kairos_operator.api.names import ANNOTATION_HANDED_OVER
from kairos_operator.api.resources import LEASES
from kairos_operator.runtime.client import Object
from kairos_operator.runtime.clock import to_micro_time


def holder(lease: Object | None) -> str:
    """Who holds the lease; empty where nobody does, or there is none."""
    return str(_spec(lease).get("holderIdentity") or "")


def lasts(lease: Object | None, otherwise: float) -> float:
    """For how many seconds its holder may be silent."""
    return float(_spec(lease).get("leaseDurationSeconds") or otherwise)


def note(lease: Object | None) -> str:
    """What the last replica that gave way left on the lease."""
    annotations = ((lease or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(ANNOTATION_HANDED_OVER, ""))


def blank(name: str, namespace: str) -> Object:
    """A lease that nobody has held yet."""
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": namespace},
    }


def taken(lease: Object, identity: str, duration: float, now: datetime) -> Object:
    """The lease as `identity` takes it, or renews its own, for `duration` seconds."""
    lease, time = copy.deepcopy(lease), to_micro_time(now)
    spec = lease.setdefault("spec", {})
    if spec.get("holderIdentity") != identity:
        transitions = spec.get("leaseTransitions")
        spec["leaseTransitions"] = 0 if transitions is None else int(transitions) + 1
        spec["acquireTime"] = time
    spec["holderIdentity"] = identity
    # The API has whole seconds. Rounded down, others could take over while the fence of `identity` is still open.
    spec["leaseDurationSeconds"] = math.ceil(duration)
    spec["renewTime"] = time
    return lease


def given_back(lease: Object, parting_note: str, now: datetime) -> Object:
    """The lease as its holder leaves it to anybody."""
    lease = copy.deepcopy(lease)
    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": to_micro_time(now)}
    if parting_note:
        lease["metadata"].setdefault("annotations", {})[ANNOTATION_HANDED_OVER] = parting_note
    return lease


def _spec(lease: Object | None) -> dict[str, Any]:
    return (lease or {}).get("spec") or {}
