"""The heartbeat of all simulated nodes: one task renews their Leases, at the pace of real kubelets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kairos_operator.api.resources import LEASES
from tests.sandbox.fleet.api import MERGE, Answer, Api
from tests.sandbox.fleet.clock import micro_stamp, wall_clock

NAMESPACE = "kube-node-lease"
EVERY = 10.0
"""Seconds of real time, since the API server's clients measure the lease with it."""
LASTS = 40
TOGETHER = 10
"""How many are renewed at once."""


async def renew_leases(api: Api, alive: Callable[[], list[str]]) -> None:
    """Renews the leases of the nodes that are up, for ever: at once, and then spread over the interval."""
    await asyncio.gather(*(_renew(api, name) for name in alive()))
    while True:
        names = alive()
        for start in range(0, len(names), TOGETHER):
            await asyncio.gather(*(_renew(api, name) for name in names[start : start + TOGETHER]))
            await asyncio.sleep(EVERY * min(TOGETHER, len(names)) / len(names))
        if not names:
            await asyncio.sleep(EVERY)


async def _renew(api: Api, name: str) -> None:
    now = micro_stamp(wall_clock())
    try:
        await api.call("PATCH", LEASES.path(NAMESPACE, name), {"spec": {"renewTime": now}}, media=MERGE)
    except Answer as refused:
        if refused.status == 404:
            await _create(api, name, now)


async def _create(api: Api, name: str, now: str) -> None:
    spec = {"holderIdentity": name, "leaseDurationSeconds": LASTS, "renewTime": now}
    body = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": spec}
    try:
        await api.call("POST", LEASES.path(NAMESPACE), body)
    except Answer:
        return  # the next round tries again
