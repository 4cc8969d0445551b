"""The world around the operator: machines, controllers and people, all driven by the timeline and one seed."""

from __future__ import annotations

import random

from kairos_operator.api.names import ANNOTATION_PAUSED
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS
from tests.sim.cluster import Change, Cluster, Object
from tests.sim.machines import Machine
from tests.sim.players import AppController, GarbageCollector, JobController
from tests.sim.podrun import Run
from tests.sim.programs import program_of, user_program
from tests.sim.scenario import NodePlan, OperationPlan, Scenario
from tests.sim.truth import Truth, owner_uid

RESOURCES = {"NodeOp": NODE_OPS, "NodeOpUpgrade": NODE_OP_UPGRADES}


class World:
    """Everything but the operator."""

    def __init__(self, scenario: Scenario, cluster: Cluster, truth: Truth) -> None:
        self.scenario = scenario
        self.cluster = cluster
        self.truth = truth
        self.machines: dict[str, Machine] = {}
        self._jobs = JobController(cluster, self._rng("jobs"))
        self._garbage = GarbageCollector(cluster, scenario.garbage_delay)
        self._apps: dict[str, AppController] = {}
        cluster.listeners.append(self._heard)
        for plan in scenario.nodes:
            self.add_machine(plan)
        for app in scenario.apps:
            truth.stubborn[app.name] = app.stubborn
            self._apps[app.name] = AppController(app, self, self._rng(f"app {app.name}"))
        for operation in scenario.operations:
            cluster.timeline.at(operation.at, lambda op=operation: self.create(op))  # type: ignore[misc]

    def add_machine(self, plan: NodePlan) -> Machine:
        """A machine that joins, and its Node."""
        machine = Machine(plan, self.cluster, self.truth, self._rng(plan.name))
        self.machines[plan.name] = machine
        machine.register(unschedulable=plan.cordoned)
        return machine

    def create(self, operation: OperationPlan) -> None:
        """Somebody creates an operation."""
        resource = RESOURCES[operation.kind]
        metadata: Object = {"name": operation.name, "namespace": "default"}
        if operation.paused:
            metadata["annotations"] = {ANNOTATION_PAUSED: "true"}
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            "spec": operation.spec,
        }
        self.cluster.journal.note(self.cluster.now, "person", operation.name, f"creates the {operation.kind}")
        self.cluster.attempt("person", lambda store: store.create(resource, body, "default"))

    def standing(self) -> list[str]:
        """Nodes whose machine has power."""
        return [node["metadata"]["name"] for node in self.cluster.all(NODES) if self._up(node)]

    def schedulable(self) -> list[str]:
        """Nodes that take new pods."""
        nodes = self.cluster.all(NODES)
        return [n["metadata"]["name"] for n in nodes if self._up(n) and not n["spec"].get("unschedulable")]

    def _up(self, node: Object) -> bool:
        machine = self.machines.get(node["metadata"]["name"])
        return machine is not None and machine.up

    def _rng(self, what: str) -> random.Random:
        return random.Random(f"world {self.scenario.seed} {what}")

    def _heard(self, change: Change) -> None:
        if change.resource == PODS:
            self._pod_changed(change)
        elif change.resource == JOBS and change.old is None:
            job = change.obj
            node = job["spec"]["template"]["spec"].get("nodeName", "")
            self.truth.jobs[job["metadata"]["uid"]] = (owner_uid(job), node)
            self._jobs.job_made(job)
        elif change.resource == NODES and change.new is None:
            self._garbage.node_gone(change.name)
        # A child that comes after its owner has gone is collected like one that was there before.
        owned = change.old is None and owner_uid(change.obj) != ""
        if owned or change.new is None or "deletionTimestamp" in change.new["metadata"]:
            self._garbage.something_gone()

    def _pod_changed(self, change: Change) -> None:
        pod, uid = change.obj, change.obj["metadata"]["uid"]
        machine = self.machines.get(pod["spec"].get("nodeName", ""))
        app = (pod["metadata"].get("labels") or {}).get("app")
        if change.old is None and machine is not None:
            machine.runs[uid] = Run(pod, machine, user_program if app else program_of)
        run = machine.runs.get(uid) if machine is not None else None
        if run is not None and change.new is None:
            run.forget()
        elif run is not None and "deletionTimestamp" in pod["metadata"]:
            run.deleted(pod)
        if app is None:
            self._jobs.pod_changed(change)
        elif change.new is None and app in self._apps:
            self._apps[app].pod_gone()
