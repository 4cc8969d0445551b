"""Machines and their kubelets: power, the network, boots, files that outlive a reboot, and the Node object."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kairos_operator.api.base import timestamp
from kairos_operator.api.resources import NODES, PODS
from tests.sim.cluster import Cluster, Object
from tests.sim.scenario import NodePlan

if TYPE_CHECKING:
    from tests.sim.podrun import Run
    from tests.sim.truth import Truth

NOT_READY_AFTER = 40.0  # seconds without news of a kubelet after which its node is said to be not Ready


class Machine:
    """One machine. Its kubelet runs the pods that name it, as long as it has power."""

    def __init__(self, plan: NodePlan, cluster: Cluster, truth: Truth, rng: random.Random) -> None:
        self.plan = plan
        self.name = plan.name
        self.temper = plan.temper
        self.cluster = cluster
        self.truth = truth
        self.rng = rng
        self.up = True
        self.connected = True
        self.lost = False  # never comes back
        self.boot_id = f"{plan.name}-boot-1"
        self.boots = 1
        self.files: dict[str, str] = {}
        self.runs: dict[str, Run] = {}
        self.power = 0  # counts power cycles, so that what was planned before one is dropped after it
        self._reports: list[Callable[[], None]] = []
        self._booting = False  # it has not come so far as to say that it is Ready
        self._due = False  # it has, and was not heard

    @property
    def actor(self) -> str:
        """How the journal names the kubelet."""
        return f"kubelet/{self.name}"

    def register(self, *, unschedulable: bool = False) -> None:
        """Make the Node object."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.plan.labels},
            "spec": {"unschedulable": True} if unschedulable else {},
            "status": self._status(ready=True),
        }
        self.cluster.attempt(self.actor, lambda store: store.create(NODES, body))

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Do something on the machine after a while, if it has had power all the time."""
        power = self.power
        self.cluster.timeline.after(seconds, lambda: what() if self.up and power == self.power else None)

    def report(self, what: Callable[[], None]) -> None:
        """Tell the API server something, now or once it can be reached again."""
        if self.connected:
            what()
        else:
            self._reports.append(what)

    def wrote(self, name: str, text: str) -> None:
        """A file was written; who waits for it may look."""
        self.files[name] = text
        for run in list(self.runs.values()):
            run.poke()

    def fail(self, seconds: float, why: str) -> None:
        """Lose power, and be back after so many seconds; never, if that is infinite."""
        if not self.up:
            return
        self.cluster.journal.note(self.cluster.now, "world", self.name, "goes down", why)
        self.truth.excuse(self.name, f"down: {why}")
        self.up = self._booting = self._due = False
        self.power += 1
        for run in list(self.runs.values()):
            run.lost_power()
        self._unheard_of()
        if seconds == float("inf"):
            self.lost = True
            return
        self.cluster.timeline.after(seconds, self.boot)

    def boot(self) -> None:
        """Come up: a new boot, the same disk."""
        if self.up or self.lost:
            return
        self.up, self._booting, self.boots = True, True, self.boots + 1
        self.boot_id = f"{self.name}-boot-{self.boots}"
        self.cluster.journal.note(self.cluster.now, "world", self.name, "boots", self.boot_id)
        self.truth.booted(self.name)
        if self.connected:
            self._tell_all()
        if self.temper.shows_not_ready:
            self.later(0.5, lambda: self._tell(ready=False) if self.connected else None)
        self.later(1.0 + 6 * self.rng.random(), self._come_back)
        for run in list(self.runs.values()):
            self.later(1.0 + 2 * self.rng.random(), run.resume)

    @property
    def away(self) -> bool:
        """Whether nothing is heard of it, for lack of power or of a connection."""
        return not self.up or not self.connected

    def cut(self, seconds: float) -> None:
        """Run on unheard of."""
        if not self.connected or not self.up:
            return
        self.cluster.journal.note(self.cluster.now, "world", self.name, "is cut off", f"{seconds:.0f} s")
        self.truth.excuse(self.name, "cut off")
        self.connected = False
        self._unheard_of()
        self.cluster.timeline.after(seconds, self.heal)

    def heal(self) -> None:
        """Be heard of again."""
        if self.connected:
            return
        self.connected = True
        if not self.up:
            return  # what it could not tell, it tells once it has booted, if ever
        self.cluster.journal.note(self.cluster.now, "world", self.name, "is heard of again")
        self._tell_all()
        if self._due:
            self.return_to_cluster()
        elif not self._booting:
            self._tell(ready=True)

    def _tell_all(self) -> None:
        reports, self._reports = self._reports, []
        for tell in reports:
            tell()

    def _unheard_of(self) -> None:
        power, boots = self.power, self.boots

        def lapse() -> None:
            if power == self.power and boots == self.boots and not (self.up and self.connected):
                self._tell(ready=None)

        self.cluster.timeline.after(NOT_READY_AFTER, lapse)

    def _come_back(self) -> None:
        self._booting, self._due = False, not self.connected
        if self.connected:
            self.return_to_cluster()

    def return_to_cluster(self) -> None:
        """Say that the node is Ready; register it where it was deleted meanwhile."""
        self._due = False
        if self.cluster.find(NODES, self.name) is None:
            self.register()  # deleted meanwhile: it registers anew
        else:
            self._tell(ready=True)
        self.truth.back(self.name)

    def _tell(self, *, ready: bool | None) -> None:
        actor = "node-lifecycle" if ready is None else self.actor
        body = {"status": self._status(ready=ready)}
        self.cluster.attempt(actor, lambda store: store.patch(NODES, self.name, body, subresource="status"))

    def _status(self, *, ready: bool | None) -> dict[str, Any]:
        state = "Unknown" if ready is None else str(ready)
        old = self.cluster.find(NODES, self.name)
        known = ((old or {}).get("status") or {}).get("conditions") or [{}]
        since = known[0].get("lastTransitionTime") if known[0].get("status") == state else None
        condition = {
            "type": "Ready",
            "status": state,
            "reason": {None: "NodeStatusUnknown", True: "KubeletReady", False: "KubeletNotReady"}[ready],
            "lastTransitionTime": since or timestamp(self.cluster.clock()),
        }
        status: dict[str, Any] = {"conditions": [condition]}
        if ready is not None:
            status["nodeInfo"] = {"bootID": self.boot_id}
        return status

    def pod(self, namespace: str, name: str, uid: str) -> Object | None:
        """A pod as it is now, if it is still that one."""
        found = self.cluster.find(PODS, name, namespace)
        return found if found is not None and found["metadata"]["uid"] == uid else None
