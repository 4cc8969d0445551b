"""Lets a scenario's incidents happen: each finds its victim in the world as it is at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from kairos_operator.api.resources import NODES
from tests.sim.incidents import Incident
from tests.sim.people import People
from tests.sim.scenario import NodePlan, Temper

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


class Misfortune(People):
    """Puts the incidents that are not muted on the timeline."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self.last = 0.0  # when the last of them is over
        for index, incident in enumerate(simulation.scenario.incidents):
            if {f"i{index}", incident.kind, "incidents"}.isdisjoint(simulation.scenario.muted):
                self._cluster.timeline.at(incident.at, partial(_KINDS[incident.kind], self, incident))
                self.last = max(self.last, incident.at + 600.0)

    # Nodes

    def _down(self, incident: Incident) -> None:
        self._machine(incident).fail(5.0 + 400.0 * incident.amount**2, "power failure")

    def _reboots(self, incident: Incident) -> None:
        self._machine(incident).fail(5.0 + 20.0 * incident.amount, "rebooted by somebody else")

    def _cut(self, incident: Incident) -> None:
        self._machine(incident).cut(5.0 + 300.0 * incident.amount**2)

    def _gone(self, incident: Incident) -> None:
        self._machine(incident).fail(float("inf"), "never to return")

    def _node_deleted(self, incident: Incident) -> None:
        machine = self._machine(incident)
        machine.fail(float("inf"), "decommissioned")
        self._drop_node(machine.name)

    def _replaced(self, incident: Incident) -> None:
        machine = self._machine(incident)
        machine.fail(10.0 + 100.0 * incident.amount, "reinstalled")
        self._drop_node(machine.name)

    def _renewed(self, incident: Incident) -> None:
        machine = self._machine(incident)
        if machine.up and machine.connected and self._cluster.find(NODES, machine.name) is not None:
            self._drop_node(machine.name)
            machine.later(0.02 + 0.5 * incident.amount**2, machine.return_to_cluster)

    def _drop_node(self, name: str) -> None:
        node = self._cluster.find(NODES, name)
        if node is not None:
            self._truth.excuse(name, "its Node was deleted")
            self._note("person", name, "deletes the Node")
            self._delete(NODES, node)

    def _joins(self, incident: Incident) -> None:
        name = f"new{len(self._world.machines)}"
        self._note("world", name, "joins")
        self._world.add_machine(NodePlan(name, {"pool": "a" if incident.amount < 0.5 else "b"}, Temper()))

    def _relabelled(self, incident: Incident) -> None:
        node = self._cluster.find(NODES, self._machine(incident).name)
        if node is not None:
            self._note("person", node["metadata"]["name"], "relabels the Node")
            self._patch(
                NODES, node, {"metadata": {"labels": {"pool": "a" if incident.amount < 0.5 else "b"}}}
            )

    # The operator, the API server, the clock

    def _replica(self, incident: Incident) -> str:
        names = sorted(self._simulation.replicas)
        return names[int(incident.choice * len(names))]

    def _kill(self, incident: Incident) -> None:
        self._simulation.kill(self._replica(incident), "killed", down=0.5 + 60.0 * incident.amount**3)

    def _stop(self, incident: Incident) -> None:
        self._simulation.stop(self._replica(incident))

    def _freeze(self, incident: Incident) -> None:
        self._simulation.freeze(self._replica(incident), 1.0 + 50.0 * incident.amount)

    def _outage(self, incident: Incident) -> None:
        seconds = 2.0 + 60.0 * incident.amount**2
        self._note("world", "", "the API server answers nobody", f"{seconds:.0f} s")
        self._simulation.outage_until = self._cluster.now + seconds

    def _history_lost(self, incident: Incident) -> None:
        del incident
        self._note("world", "", "the API server forgets its history")
        self._cluster.expire_watches()

    def _clock_jump(self, incident: Incident) -> None:
        seconds = (incident.amount - 0.5) * 600.0
        self._note("world", "", "the operator's clock jumps", f"{seconds:+.0f} s")
        self._truth.excuse("*", "the clock jumped")
        self._simulation.skew += seconds
        self._cluster.timeline.after(120.0, lambda: self._set_right(seconds))

    def _set_right(self, seconds: float) -> None:
        self._note("world", "", "the operator's clock is set right")
        self._simulation.skew -= seconds


_KINDS: Mapping[str, Callable[[Misfortune, Incident], None]] = {
    "node-down": Misfortune._down,
    "node-reboots": Misfortune._reboots,
    "node-cut": Misfortune._cut,
    "node-gone": Misfortune._gone,
    "node-deleted": Misfortune._node_deleted,
    "node-replaced": Misfortune._replaced,
    "node-renewed": Misfortune._renewed,
    "node-joins": Misfortune._joins,
    "node-relabelled": Misfortune._relabelled,
    "cordon": Misfortune._cordon,
    "uncordon": Misfortune._uncordon,
    "take-over-cordon": Misfortune._take_over,
    "edit-spec": Misfortune._edit,
    "delete-operation": Misfortune._delete_operation,
    "pause": Misfortune._pause,
    "delete-child-pod": Misfortune._delete_child_pod,
    "delete-child-job": Misfortune._delete_child_job,
    "delete-user-pod": Misfortune._user_pod,
    "fail-user-pod": Misfortune._user_pod,
    "kill": Misfortune._kill,
    "stop": Misfortune._stop,
    "freeze": Misfortune._freeze,
    "outage": Misfortune._outage,
    "history-lost": Misfortune._history_lost,
    "clock-jump": Misfortune._clock_jump,
}
