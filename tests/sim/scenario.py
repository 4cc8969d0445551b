"""What a seed decides: the fleet, the operations, the weather's rates, and the incidents that befall all of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.sim.incidents import Incident, incidents_of
from tests.sim.weather import Rates

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True)
class Temper:
    """How one node takes to an operation."""

    preflight: str = "pass"  # pass | skip | fail | hang
    fails: int = 0  # tries of the command that fail before one succeeds; -1: all of them
    hangs: bool = False  # the first try never ends
    reboot: str = "ok"  # ok | refused | stays-up | never-returns
    postflight: str = "pass"  # pass | fail | hang
    slowness: float = 1.0
    shows_not_ready: bool = True  # whether a reboot is ever seen as NotReady


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node at the beginning."""

    name: str
    labels: dict[str, str]
    temper: Temper
    cordoned: bool = False


@dataclass(frozen=True, slots=True)
class AppPlan:
    """Pods of users: a ReplicaSet, a DaemonSet (`replicas` -1) or bare pods (`controlled` false)."""

    name: str
    replicas: int
    controlled: bool = True
    min_available: int | None = None
    empty_dir: bool = False
    stubborn: float = 0.0  # seconds that an end takes; beyond the grace period only a stuck finalizer does


@dataclass(frozen=True, slots=True)
class OperationPlan:
    """One NodeOp or NodeOpUpgrade, and when it is created (seconds)."""

    kind: str
    name: str
    spec: dict[str, Any]
    at: float = 0.0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a run is made of, besides the code under test."""

    seed: int
    nodes: tuple[NodePlan, ...]
    apps: tuple[AppPlan, ...]
    operations: tuple[OperationPlan, ...]
    rates: Rates
    calm_from: float
    incidents: tuple[Incident, ...] = ()
    replicas: int = 1
    events: bool = False
    garbage_delay: float = 1.0
    muted: frozenset[str] = field(default_factory=frozenset)


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(f"scenario {seed}")
    bad = rng.choice((0.0, 0.3, 0.6, 1.0, 1.0))  # how bad a day it is, all in all
    count = rng.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 6)) if rng.random() < 0.96 else rng.randint(7, 30)
    nodes = tuple(_node(rng, index, bad) for index in range(count))
    calm_from = rng.choice((0.0, 60.0, 200.0, 600.0, 1500.0)) if bad else 0.0
    rates = Rates(
        fault=rng.choice((0.0, 0.03, 0.15, 0.4)) * bad,
        crash=rng.choice((0.0, 0.0, 0.01, 0.05, 0.2)) * bad,
        watch_fault=rng.choice((0.0, 0.2, 0.8)) * bad,
        lag=rng.choice((0.0, 0.5, 5.0, 40.0)) * bad,
    )
    operations = _operations(rng, bad)
    replicas = 2 if rng.random() < 0.15 else 1
    incidents = incidents_of(rng, bad, max(calm_from, 120.0), replicas)
    return Scenario(
        seed=seed,
        nodes=nodes,
        apps=_apps(rng, count),
        operations=operations,
        rates=rates,
        calm_from=calm_from,
        incidents=incidents,
        replicas=replicas,
        events=rng.random() < 0.1,
        garbage_delay=rng.choice((0.1, 1.0, 5.0, 30.0)),
    )


def _node(rng: random.Random, index: int, bad: float) -> NodePlan:
    labels = {"kubernetes.io/hostname": f"n{index}", "pool": rng.choice(("a", "b"))}
    if index == 0 or rng.random() < 0.15:
        labels[CONTROL_PLANE] = ""
    return NodePlan(f"n{index}", labels, _temper(rng, bad), cordoned=rng.random() < 0.1)


def _temper(rng: random.Random, bad: float) -> Temper:
    def seldom(usual: Any, *others: Any) -> Any:
        return rng.choice(others) if rng.random() < 0.12 * bad else usual

    return Temper(
        preflight=seldom("pass", "skip", "fail", "hang") if rng.random() > 0.1 else "skip",
        fails=seldom(0, 1, 2, -1),
        hangs=seldom(False, True),
        reboot=seldom("ok", "refused", "stays-up", "never-returns"),
        postflight=seldom("pass", "fail", "hang"),
        slowness=rng.choice((0.3, 1.0, 1.0, 4.0)),
        shows_not_ready=rng.random() < 0.6,
    )


def _apps(rng: random.Random, nodes: int) -> tuple[AppPlan, ...]:
    if rng.random() < 0.4:
        return ()
    apps = [
        AppPlan(
            "web",
            rng.randint(1, min(4, nodes + 1)),
            min_available=rng.choice((None, 0, 1, 1, 2)),
            empty_dir=rng.random() < 0.3,
            stubborn=rng.choice((0.0, 0.0, 1.0, 30.0, 400.0)),
        )
    ]
    if rng.random() < 0.4:
        apps.append(AppPlan("agent", -1))
    if rng.random() < 0.3:
        apps.append(AppPlan("bare", 1, controlled=False))
    return tuple(apps)


def _operations(rng: random.Random, bad: float) -> tuple[OperationPlan, ...]:
    found: list[OperationPlan] = []
    for index in range(rng.choice((1, 1, 1, 1, 2, 2, 3))):
        kind = rng.choice(("NodeOp", "NodeOp", "NodeOpUpgrade"))
        spec = _node_op(rng) if kind == "NodeOp" else _upgrade(rng)
        at = rng.choice((0.0, 10.0)) if index == 0 else rng.choice((0.0, 5.0, 15.0, 60.0))
        # Sometimes an upgrade meets a NodeOp of its own name.
        name = "op0" if found and kind != found[0].kind and rng.random() < 0.15 else f"op{index}"
        found.append(OperationPlan(kind, name, spec, at, paused=rng.random() < 0.05 * bad))
    return tuple(found)


def _shared(rng: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "image": "registry.local/os:2",
        "concurrency": rng.choice((0, 1, 1, 2, 3)),
        "stopOnFailure": rng.random() < 0.3,
        "uncordonOnFailure": rng.random() < 0.3,
        "rebootTimeoutSeconds": rng.choice((120, 300, 600)),
        "jobTimeoutSeconds": rng.choice((60, 300, 600)),
    }
    if rng.random() < 0.2:
        spec["nodeSelector"] = {"matchLabels": {"pool": rng.choice(("a", "a", "b", "none"))}}
    return spec


def _upgrade(rng: random.Random) -> dict[str, Any]:
    active = rng.random() < 0.85
    return {
        **_shared(rng),
        "force": rng.random() < 0.3,
        "upgradeActive": active,
        "upgradeRecovery": not active,
    }


def _node_op(rng: random.Random) -> dict[str, Any]:
    spec = {**_shared(rng), "command": ["/bin/true"], "backoffLimit": rng.choice((0, 1, 2))}
    spec["rebootOnSuccess"] = rng.random() < 0.5
    spec["cordon"] = rng.random() < 0.7
    if spec["cordon"] and rng.random() < 0.7:
        spec["drainOptions"] = {
            "enabled": True,
            "force": rng.random() < 0.3,
            "deleteEmptyDirData": rng.random() < 0.5,
            "timeoutSeconds": rng.choice((30, 120)),
            **({"gracePeriodSeconds": rng.choice((0, 5, -1))} if rng.random() < 0.3 else {}),
        }
    if rng.random() < 0.4:
        spec["preflight"] = {"command": ["check"], "activeDeadlineSeconds": rng.choice((20, 60))}
    if rng.random() < 0.3:
        spec["postflight"] = {"command": ["verify"], "activeDeadlineSeconds": rng.choice((20, 60))}
    return spec
