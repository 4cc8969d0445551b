"""What befalls the cluster beside single calls: nodes, people, the operator, the API server and the clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

NODES = {
    "node-down": 3,  # loses power, and is back after `amount` seconds
    "node-reboots": 3,  # reboots by itself
    "node-cut": 3,  # runs on, but nobody hears of it for `amount` seconds
    "node-gone": 1,  # loses power for good; the Node object stays
    "node-deleted": 1,  # loses power and is deleted
    "node-replaced": 1,  # is deleted, and registers anew under its name
    "node-renewed": 2,  # is deleted, and its running kubelet registers it anew at once
    "node-joins": 1,
    "node-relabelled": 1,
}
PEOPLE = {
    "cordon": 2,
    "uncordon": 2,
    "take-over-cordon": 1,  # makes the operator's cordon their own by removing its annotation
    "edit-spec": 1,
    "delete-operation": 1,
    "pause": 2,
    "delete-child-pod": 2,
    "delete-child-job": 1,
    "delete-user-pod": 1,
    "fail-user-pod": 1,
}
OPERATOR = {"kill": 3, "freeze": 2, "stop": 1}
SERVER = {"outage": 2, "history-lost": 2, "clock-jump": 2}


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happens at a time; `choice` (0 to 1) decides to whom, `amount` how much of it."""

    at: float
    kind: str
    choice: float = 0.0
    amount: float = 0.0


def incidents_of(rng: random.Random, bad: float, until: float, replicas: int) -> tuple[Incident, ...]:
    """The incidents of a scenario, in order of time."""
    if not bad or rng.random() < 0.2:
        return ()
    kinds: dict[str, int] = {}
    for group in (NODES, PEOPLE, OPERATOR, SERVER):
        if rng.random() < 0.4:
            kinds |= group
    if replicas > 1:
        kinds |= {"freeze": 10, "kill": 3}
    if not kinds:
        return ()
    names = sorted(kinds)
    found = []
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        kind = rng.choices(names, [kinds[name] for name in names])[0]
        found.append(Incident(round(rng.random() ** 1.5 * until, 3), kind, rng.random(), rng.random()))
    return tuple(sorted(found, key=lambda one: one.at))
