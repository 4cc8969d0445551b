"""One run of a scenario: the world, the operator's replicas, and the judge, until all is said and done."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS
from kairos_operator.api.status import Phase
from tests.sim.clockwork import BusyLoop, Timeline
from tests.sim.cluster import Cluster
from tests.sim.journal import Journal
from tests.sim.replica import Replica
from tests.sim.scenario import Scenario
from tests.sim.truth import Broken, Truth
from tests.sim.weather import Weather
from tests.sim.world import World

logging.getLogger("kairos_operator").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: what was broken (or nothing), its story, and its size."""

    seed: int
    broken: str
    journal: Journal
    seconds: float
    calls: int


class Simulation:
    """One scenario, run once."""

    def __init__(self, scenario: Scenario, *, detailed: bool = False) -> None:
        self.scenario = scenario
        self.timeline = Timeline()
        self.journal = Journal(detailed)
        self.cluster = Cluster(self.timeline, self.journal)
        self.truth = Truth()
        self.weather = Weather(scenario.seed, scenario.rates, scenario.calm_from, scenario.muted)
        self.replicas: dict[str, Replica] = {}
        self.calls = 0
        self.skew = 0.0
        self.outage_until = 0.0

    def run(self) -> Outcome:
        """Run to the end; what must not happen ends the run at once."""
        broken = ""
        try:
            self.world = World(self.scenario, self.cluster, self.truth)
            for number in range(self.scenario.replicas):
                self.start(f"operator-{number}")
            self._until_done()
        except (Broken, BusyLoop) as fault:
            broken = f"{type(fault).__name__}: {fault}"
        finally:
            for replica in self.replicas.values():
                self.calls += replica.calls
                replica.bury()
        return Outcome(self.scenario.seed, broken, self.journal, self.timeline.now, self.calls)

    def start(self, name: str) -> None:
        """Start a replica."""
        self.journal.note(self.timeline.now, name, "", "starts")
        self.replicas[name] = Replica(
            name,
            self.cluster,
            self.weather,
            seed=self.scenario.seed,
            elect=self.scenario.replicas > 1,
            events=self.scenario.events,
            skew=lambda: self.skew,
            outage=lambda: self.outage_until,
            ended=lambda why: self._ended(name, why),
        )

    def _ended(self, name: str, why: str) -> None:
        self.calls += self.replicas[name].calls
        self.journal.note(self.timeline.now, name, "", "ends", why)
        self.timeline.after(1.0, lambda: self.start(name))

    def _until_done(self) -> None:
        while not self._done():
            if self.timeline.now > 7200 or not self.timeline.step(7200):
                raise Broken("not done")

    def _done(self) -> bool:
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            for obj in self.cluster.all(resource):
                phase = (obj.get("status") or {}).get("phase")
                if phase not in (Phase.COMPLETED, Phase.FAILED):
                    return False
        return self.timeline.now > max(op.at for op in self.scenario.operations) + 1
