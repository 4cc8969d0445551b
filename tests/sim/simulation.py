"""One run of a scenario: the world, the operator's replicas, and the judge, until all is said and done."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from tests.sim.bugs import Bugs
from tests.sim.clockwork import BusyLoop, Timeline
from tests.sim.cluster import Cluster
from tests.sim.finale import Finale
from tests.sim.journal import Journal
from tests.sim.judge import Judge
from tests.sim.misfortune import Misfortune
from tests.sim.replica import Replica
from tests.sim.scenario import Scenario
from tests.sim.truth import Broken, Truth
from tests.sim.weather import Weather
from tests.sim.world import World

CALLS = 1500  # that a run may make beside those that time alone explains
CALLS_PER_SECOND = 12.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: what was broken (or nothing), its story, and its size."""

    scenario: Scenario
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
        self.skew = 0.0
        self.outage_until = 0.0
        self._dead: list[Replica] = []
        self._started: dict[str, float] = {}
        self._ends: Counter[str] = Counter()

    def run(self) -> Outcome:
        """Run to the end; what must not happen ends the run at once."""
        broken = ""
        bugs = Bugs()
        logger = logging.getLogger("kairos_operator")
        level, logger.propagate = logger.level, False
        logger.setLevel(logging.ERROR)
        logger.addHandler(bugs)
        try:
            self._play(bugs)  # anything but these two is a fault of the simulation itself
        except (Broken, BusyLoop) as fault:
            broken = f"{type(fault).__name__}: {fault}"
        finally:
            logger.removeHandler(bugs)
            logger.setLevel(logging.CRITICAL)
            for replica in (*self.replicas.values(), *self._dead):
                replica.bury()
            logger.setLevel(level)
            logger.propagate = True
        return Outcome(self.scenario, broken, self.journal, self.timeline.now, self.calls)

    @property
    def calls(self) -> int:
        """Requests that the operator has made so far."""
        return sum(replica.calls for replica in (*self.replicas.values(), *self._dead))

    def start(self, name: str) -> None:
        """Start a replica."""
        self.journal.note(self.timeline.now, name, "", "starts")
        if name in self.replicas:
            self._dead.append(self.replicas[name])
        self.replicas[name] = Replica(
            name,
            self.cluster,
            self.weather,
            seed=self.scenario.seed,
            elect=self.scenario.replicas > 1,
            events=self.scenario.events,
            skew=lambda: self.skew,
            outage=lambda: self.outage_until,
            ended=lambda why: self._ended(name, why, self._restart_delay(name)),
        )
        self._started[name] = self.timeline.now

    def kill(self, name: str, why: str, *, down: float) -> None:
        """End a replica as SIGKILL does, and start it anew after a while."""
        replica = self.replicas[name]
        if not replica.loop.dead:
            replica.kill()
            self._ended(name, why, down)

    def stop(self, name: str) -> None:
        """End a replica as SIGTERM does."""
        replica = self.replicas[name]
        if not replica.loop.dead and not replica.loop.frozen:
            self.journal.note(self.timeline.now, name, "", "is told to end")
            replica.stop()

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a replica's time for a while, as SIGSTOP and SIGCONT do."""
        replica = self.replicas[name]
        if replica.loop.dead or replica.loop.frozen:
            return
        self.journal.note(self.timeline.now, name, "", "freezes", f"{seconds:.0f} s")
        replica.loop.frozen = True

        def thaw() -> None:
            replica.loop.frozen = False
            if not replica.loop.dead:
                self.journal.note(self.timeline.now, name, "", "thaws")

        self.timeline.after(seconds, thaw)

    def _restart_delay(self, name: str) -> float:
        """Seconds until the kubelet starts a replica again: more each time that it ends soon."""
        soon = self.timeline.now - self._started[name] < 30.0
        self._ends[name] = self._ends[name] + 1 if soon else 0
        return float(min(20.0, 0.5 * 2 ** self._ends[name]))

    def _ended(self, name: str, why: str, down: float) -> None:
        self.journal.note(self.timeline.now, name, "", "ends", why)
        self.timeline.after(down, lambda: self.start(name))

    def _play(self, bugs: Bugs) -> None:
        judge = Judge(self.cluster, self.truth)
        self.world = World(self.scenario, self.cluster, self.truth)
        misfortune = Misfortune(self)
        finale = Finale(self, judge.ledger)
        for number in range(self.scenario.replicas):
            self.start(f"operator-{number}")
        calm = max(self.scenario.calm_from, misfortune.last, finale.created_by + 60.0)
        self.timeline.at(calm, misfortune.resume_all)
        until = calm + finale.patience()
        steps = 0
        while not finale.over():
            steps += 1
            if not self.timeline.step(until):
                raise Broken(
                    f"not over {until - calm:.0f} s after the weather cleared: {finale.unfinished()}"
                )
            bugs.raise_first()
            if steps % 100 == 0 and self.calls > CALLS + CALLS_PER_SECOND * self.timeline.now:
                raise Broken(f"{self.calls} requests in {self.timeline.now:.0f} s")
        finale.judge(bugs)
