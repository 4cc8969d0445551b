"""Named scenarios whose whole story is committed under `stories/`, and is read in review like code.

`python -m tests.sim --stories` writes them anew; the test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.sim.incidents import Incident
from tests.sim.scenario import CONTROL_PLANE, AppPlan, NodePlan, OperationPlan, Scenario, Temper
from tests.sim.simulation import Simulation
from tests.sim.weather import Rates

STORIES = Path(__file__).parent / "stories"
UPGRADE: Mapping[str, Any] = {"image": "registry.local/kairos:v2", "concurrency": 1}
REBOOT: Mapping[str, Any] = {
    "command": ["/bin/true"],
    "cordon": True,
    "rebootOnSuccess": True,
    "concurrency": 1,
}


def _nodes(*tempers: Temper, cordoned: bool = False) -> tuple[NodePlan, ...]:
    return tuple(
        NodePlan(f"n{index}", {CONTROL_PLANE: ""} if not index else {}, temper, cordoned)
        for index, temper in enumerate(tempers)
    )


def _told(
    kind: str,
    spec: Mapping[str, Any],
    nodes: tuple[NodePlan, ...],
    *incidents: Incident,
    apps: tuple[AppPlan, ...] = (),
    more: tuple[OperationPlan, ...] = (),
    replicas: int = 1,
    rates: Rates | None = None,
) -> Scenario:
    operations = (OperationPlan(kind, "op", dict(spec), 10.0 if apps else 0.0), *more)
    calm = 100.0 if rates is not None else 0.0
    return Scenario(7, nodes, apps, operations, rates or Rates(), calm, incidents, replicas)


USUAL = Temper()
WEB = AppPlan("web", 2, min_available=1, stubborn=3.0)

GOLDEN: Mapping[str, Scenario] = {
    "rolling-upgrade": _told("NodeOpUpgrade", UPGRADE, _nodes(USUAL, USUAL, USUAL), apps=(WEB,)),
    "up-to-date-nodes-are-skipped": _told(
        "NodeOpUpgrade", UPGRADE, _nodes(Temper(preflight="skip"), USUAL, Temper(preflight="skip"))
    ),
    "failed-canary-stops-the-upgrade": _told(
        "NodeOpUpgrade", {**UPGRADE, "stopOnFailure": True}, _nodes(Temper(fails=-1), USUAL, USUAL)
    ),
    "command-succeeds-at-the-second-try": _told(
        "NodeOp", {**REBOOT, "backoffLimit": 2}, _nodes(Temper(fails=1))
    ),
    "fallen-back-node-stays-cordoned": _told(
        "NodeOpUpgrade", UPGRADE, _nodes(USUAL, Temper(postflight="fail"))
    ),
    "budget-blocks-the-drain": _told(
        "NodeOp",
        {**REBOOT, "drainOptions": {"enabled": True, "timeoutSeconds": 60}},
        _nodes(USUAL),
        apps=(AppPlan("web", 1, min_available=1),),
    ),
    "node-never-returns": _told(
        "NodeOp", {**REBOOT, "rebootTimeoutSeconds": 300}, _nodes(Temper(reboot="never-returns"), USUAL)
    ),
    "reboot-is-refused": _told("NodeOp", REBOOT, _nodes(Temper(reboot="refused"), USUAL)),
    "foreign-cordon-is-kept": _told("NodeOp", REBOOT, _nodes(USUAL, cordoned=True)),
    "second-operation-waits-for-the-first": _told(
        "NodeOp", REBOOT, _nodes(USUAL), more=(OperationPlan("NodeOp", "other", dict(REBOOT), 3.0),)
    ),
    "operator-killed-during-the-reboot": _told(
        "NodeOp", REBOOT, _nodes(USUAL), Incident(12.0, "kill", 0.0, 0.8), Incident(45.0, "kill", 0.0, 0.1)
    ),
    "operator-crashes-all-the-time": _told(
        "NodeOpUpgrade", UPGRADE, _nodes(USUAL), rates=Rates(crash=0.25, fault=0.1, lag=2.0)
    ),
    "deleted-in-the-middle": _told("NodeOp", REBOOT, _nodes(USUAL, USUAL), Incident(3.0, "delete-operation")),
    "frozen-leader-does-not-act": _told(
        "NodeOp", REBOOT, _nodes(USUAL), Incident(5.0, "freeze", 0.9, 0.9), replicas=2
    ),
    "node-loses-power-while-it-works": _told(
        "NodeOp", {**REBOOT, "backoffLimit": 1}, _nodes(USUAL), Incident(2.5, "node-down", 0.0, 0.3)
    ),
}


def story(name: str) -> str:
    """The story of a named scenario, as it is committed."""
    outcome = Simulation(GOLDEN[name]).run()
    title = name.replace("-", " ")
    return (
        f"{title}\n{'=' * len(title)}\n{outcome.journal.text()}\n{outcome.broken or 'Nothing was broken.'}\n"
    )


def write_all() -> None:
    """Write all stories anew."""
    for name in GOLDEN:
        (STORIES / f"{name}.txt").write_text(story(name))
