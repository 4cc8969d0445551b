"""One replica of the operator: the real parts, wired as the program wires them, on a loop that can die or freeze."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from kairos_operator.core.snapshot import Images
from kairos_operator.operator import GRACE_SECONDS
from kairos_operator.runtime.apply import Applier
from kairos_operator.runtime.backoff import Backoff
from kairos_operator.runtime.caches import Caches, filled
from kairos_operator.runtime.controller import Controller
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.errors import NotLeader
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.leader import LeaderElector
from kairos_operator.runtime.observe import Observer
from kairos_operator.runtime.queue import Queue
from tests.sim.client import SimClient
from tests.sim.clockwork import ProcessLoop
from tests.sim.cluster import Cluster
from tests.sim.weather import Weather

log = logging.getLogger("kairos_operator.simulated")
IMAGES = Images("kairos-operator:1", "busybox:1", "")
NAMESPACE = "kube-system"


class ReplicaClock:
    """A process's clock: its wall time may be off from the true time, its monotonic time is not."""

    def __init__(self, cluster: Cluster, skew: Callable[[], float]) -> None:
        self._cluster = cluster
        self._skew = skew

    def now(self) -> datetime:
        return self._cluster.clock() + timedelta(seconds=self._skew())

    def monotonic(self) -> float:
        return self._cluster.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Teller:
    """Takes the operator's Events for the story; nothing is written to the cluster."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.silent = False
        self._name = name
        self._cluster = cluster

    def publish(
        self,
        regarding: Mapping[str, Any],
        kind: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        related: Mapping[str, Any] | None = None,
        action: str = "",
    ) -> None:
        if regarding["kind"] == "Node" or self.silent:
            return  # said of the operation as well
        place = str((related or regarding)["name"])
        self._cluster.journal.note(self._cluster.now, self._name, place, f"says {reason}", note)


class Replica:
    """One process of the operator, from its start to its end. `ended` is told why it ended by itself."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        weather: Weather,
        *,
        seed: int,
        elect: bool,
        events: bool,
        skew: Callable[[], float],
        outage: Callable[[], float],
        ended: Callable[[str], None],
    ) -> None:
        self.name = name
        self.loop = ProcessLoop(cluster.timeline)
        self._cluster = cluster
        self._weather = weather
        self._seed = seed
        self._outage = outage
        self._ended = ended
        self._stopping = False
        self._tasks: list[asyncio.Task[Any]] = []
        self.clients: list[SimClient] = []
        asyncio._set_running_loop(self.loop.as_asyncio)
        try:
            self._assemble(ReplicaClock(cluster, skew), elect=elect, events=events)
            self._start()
        finally:
            asyncio._set_running_loop(None)
        self.loop.run_ready()

    @property
    def calls(self) -> int:
        """Requests made so far."""
        return sum(client.calls for client in self.clients)

    def kill(self) -> None:
        """End it here and now, as SIGKILL does."""
        if not self.loop.dead:
            self.loop.kill()

    def stop(self) -> None:
        """End it in good order, as SIGTERM does."""
        self.loop.begin(self._wind_down())
        self.loop.run_ready()

    async def _wind_down(self) -> None:
        leading = self._tasks[-1]
        self._stopping = True
        self.controller.stop()
        await asyncio.wait({leading}, timeout=GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end("told to end")

    def bury(self) -> None:
        """After the simulation: let the tasks of a replica end, without any effect and without a word."""
        for client in self.clients:
            client.closed = True
        if isinstance(self.recorder, Teller):
            self.recorder.silent = True
        self.loop.dead = self.loop.frozen = False
        for _ in range(5):
            pending = self.loop.unfinished()
            if not pending:
                return
            for task in pending:
                task.cancel()
            self.loop.run_ready()

    def _client(self, fence: Callable[[], None] | None) -> SimClient:
        client = SimClient(
            self.name,
            self.loop,
            self._cluster,
            self._weather,
            crash=self._end,
            outage=self._outage,
            fence=fence,
        )
        self.clients.append(client)
        return client

    def _rng(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {self.name} {what} {self._cluster.now}")

    def _assemble(self, clock: ReplicaClock, *, elect: bool, events: bool) -> None:
        elector = None
        if elect:
            identity = f"{self.name}_{self._cluster.now:.6f}"
            elector = LeaderElector(
                self._client(None), NAMESPACE, "kairos-operator", identity, clock, rng=self._rng("lease")
            )
        client = self._client(elector.check if elector else None)
        caches = Caches.empty()
        reflectors = caches.reflectors(client, clock)
        for reflector in reflectors:
            reflector._backoff = Backoff(0.5, 30.0, rng=self._rng(reflector.resource.plural))
        recorder: Any = Teller(self.name, self._cluster)
        if events:
            recorder = EventRecorder(
                client, clock, instance=self.name, backoff=Backoff(1.0, 30.0, rng=self._rng("events"))
            )
        controller = Controller(
            caches=caches,
            observer=Observer(client, caches, clock, IMAGES, f"{NAMESPACE}/{self.name}"),
            applier=Applier(Deeds(client, caches), clock, recorder),
            queue=Queue(Backoff(0.2, 30.0, rng=self._rng("queue"))),
            clock=clock,
            chains_at_once=1 + self._seed % 3,  # few, so that some wait for their turn
        )
        self.recorder, self.controller, self.reflectors, self._elector = (
            recorder,
            controller,
            reflectors,
            elector,
        )

    async def _work(self) -> None:
        """As `Operator.work`: act once the caches are filled."""
        await filled(self.reflectors)
        self.controller.follow()
        await self.controller.run()

    async def _lead(self) -> None:
        """As `Operator.lead`: act while holding the lease, if there is one to hold."""
        await (self._work() if self._elector is None else self._elector.run(self._work))

    def _start(self) -> None:
        parts = [reflector.run() for reflector in self.reflectors]
        if isinstance(self.recorder, EventRecorder):
            parts.append(self.recorder.run())
        self._tasks = [self.loop.begin(part) for part in parts]
        self._tasks.append(self.loop.begin(self._lead()))
        for task in self._tasks:
            task.add_done_callback(self._part_ended)

    def _part_ended(self, task: asyncio.Task[Any]) -> None:
        """Something that should go on for ever has ended: so does the process, as the program does it."""
        if self.loop.dead or self._stopping or task.cancelled():
            return
        error = task.exception()
        if self._buried():
            return
        if error is not None and not isinstance(error, NotLeader):
            log.error("a part of the operator failed", exc_info=error)
        self._end("lost the lease" if isinstance(error, NotLeader) else f"ended: {error!r}")

    def _buried(self) -> bool:
        return any(client.closed for client in self.clients)

    def _end(self, why: str) -> None:
        if not self.loop.dead:
            self.kill()
            self._ended(why)
