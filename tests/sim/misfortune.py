"""Lets a scenario's incidents happen: each finds its victim in the world as it is at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kairos_operator.api.names import ANNOTATION_CORDONED_BY, ANNOTATION_PAUSED, ANNOTATION_PAUSED_BY
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS, Resource
from tests.sandbox.store import Store
from tests.sim.cluster import Object
from tests.sim.incidents import Incident
from tests.sim.machines import Machine
from tests.sim.scenario import NodePlan, Temper

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

FINAL = ("Completed", "Failed")


class Misfortune:
    """Puts the incidents that are not muted on the timeline."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._cluster = simulation.cluster
        self._world = simulation.world
        self._truth = simulation.truth
        self.last = 0.0  # when the last of them is over
        for index, incident in enumerate(simulation.scenario.incidents):
            if {f"i{index}", incident.kind, "incidents"}.isdisjoint(simulation.scenario.muted):
                self._cluster.timeline.at(incident.at, partial(_KINDS[incident.kind], self, incident))
                self.last = max(self.last, incident.at + 600.0)

    def _note(self, actor: str, place: str, what: str, why: str = "") -> None:
        self._cluster.journal.note(self._cluster.now, actor, place, what, why)

    def _machine(self, incident: Incident) -> Machine:
        machines = list(self._world.machines.values())
        return machines[int(incident.choice * len(machines))]

    def _pick(self, objects: list[Object], incident: Incident) -> Object | None:
        return objects[int(incident.choice * len(objects))] if objects else None

    def _patch(self, res: Resource, obj: Object, body: Mapping[str, Any]) -> None:
        meta = obj["metadata"]
        self._cluster.attempt(
            "person", lambda s: s.patch(res, meta["name"], dict(body), meta.get("namespace"))
        )

    def _delete(self, res: Resource, obj: Object, *, actor: str = "person") -> None:
        self._cluster.attempt(actor, partial(_delete, res, obj))

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

    # People

    def _cordon(self, incident: Incident) -> None:
        node = self._cluster.find(NODES, self._machine(incident).name)
        if node is not None:
            self._note("person", node["metadata"]["name"], "cordons")
            self._patch(NODES, node, {"spec": {"unschedulable": True}})

    def _uncordon(self, incident: Incident) -> None:
        node = self._cluster.find(NODES, self._machine(incident).name)
        if node is not None:
            self._note("person", node["metadata"]["name"], "uncordons")
            self._truth.excuse(node["metadata"]["name"], "uncordoned")
            self._patch(NODES, node, {"spec": {"unschedulable": None}})

    def _take_over(self, incident: Incident) -> None:
        cordoned = [
            node
            for node in self._cluster.all(NODES)
            if ANNOTATION_CORDONED_BY in (node["metadata"].get("annotations") or {})
        ]
        node = self._pick(cordoned, incident)
        if node is not None:
            self._note("person", node["metadata"]["name"], "makes the cordon their own")
            self._patch(NODES, node, {"metadata": {"annotations": {ANNOTATION_CORDONED_BY: None}}})

    def _edit(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            concurrency = 1 + int(incident.amount * 3)
            self._note(
                "person", operation[1]["metadata"]["name"], "edits the spec", f"concurrency {concurrency}"
            )
            self._patch(*operation, {"spec": {"concurrency": concurrency}})

    def _delete_operation(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            self._note("person", operation[1]["metadata"]["name"], "deletes the operation")
            self._delete(*operation)

    def _pause(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            self._note("person", operation[1]["metadata"]["name"], "pauses")
            self._patch(*operation, {"metadata": {"annotations": {ANNOTATION_PAUSED: "true"}}})
            self._cluster.timeline.after(5.0 + 200.0 * incident.amount, self.resume_all)

    def resume_all(self) -> None:
        """Somebody removes every pause."""
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            for obj in self._cluster.all(resource):
                annotations = obj["metadata"].get("annotations") or {}
                if ANNOTATION_PAUSED in annotations and ANNOTATION_PAUSED_BY not in annotations:
                    self._note("person", obj["metadata"]["name"], "resumes")
                    self._patch(resource, obj, {"metadata": {"annotations": {ANNOTATION_PAUSED: None}}})

    def _delete_child_pod(self, incident: Incident) -> None:
        pods = [p for p in self._cluster.all(PODS) if "app" not in (p["metadata"].get("labels") or {})]
        pod = self._pick(pods, incident)
        if pod is not None:
            self._truth.excuse(pod["spec"]["nodeName"], "a pod was deleted")
            self._note("person", pod["spec"]["nodeName"], "deletes a pod", pod["metadata"]["name"])
            self._delete(PODS, pod)

    def _delete_child_job(self, incident: Incident) -> None:
        job = self._pick(self._cluster.all(JOBS), incident)
        if job is not None:
            node = job["spec"]["template"]["spec"]["nodeName"]
            self._truth.excuse(node, "its Job was deleted")
            self._truth.deleted_jobs.add(job["metadata"]["uid"])
            self._note("person", node, "deletes the Job", job["metadata"]["name"])
            self._delete(JOBS, job)

    def _user_pod(self, incident: Incident) -> None:
        pods = [p for p in self._cluster.all(PODS) if "app" in (p["metadata"].get("labels") or {})]
        pod = self._pick(pods, incident)
        if pod is not None and incident.kind == "delete-user-pod":
            self._delete(PODS, pod)
        elif pod is not None:
            meta = pod["metadata"]
            self._cluster.attempt(
                "world",
                lambda s: s.patch(
                    PODS,
                    meta["name"],
                    {"status": {"phase": "Failed"}},
                    meta["namespace"],
                    subresource="status",
                ),
            )

    def _operation(self, incident: Incident) -> tuple[Resource, Object] | None:
        found = [
            (resource, obj)
            for resource in (NODE_OPS, NODE_OP_UPGRADES)
            for obj in self._cluster.all(resource)
            if (obj.get("status") or {}).get("phase") not in FINAL
        ]
        return found[int(incident.choice * len(found))] if found else None

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


def _delete(resource: Resource, obj: Object, store: Store) -> Object:
    meta = obj["metadata"]
    return store.delete(resource, meta["name"], meta.get("namespace"), propagation="Background")


_KINDS: Mapping[str, Callable[[Misfortune, Incident], None]] = {
    "node-down": Misfortune._down,
    "node-reboots": Misfortune._reboots,
    "node-cut": Misfortune._cut,
    "node-gone": Misfortune._gone,
    "node-deleted": Misfortune._node_deleted,
    "node-replaced": Misfortune._replaced,
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
