"""What every incident needs: the world, a victim, and a word in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kairos_operator.api.resources import Resource
from tests.sandbox.store import Store
from tests.sim.cluster import Object
from tests.sim.incidents import Incident
from tests.sim.machines import Machine

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


class Victims:
    """Finds whom an incident befalls, and does it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._cluster = simulation.cluster
        self._world = simulation.world
        self._truth = simulation.truth

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


def _delete(resource: Resource, obj: Object, store: Store) -> Object:
    meta = obj["metadata"]
    return store.delete(resource, meta["name"], meta.get("namespace"), propagation="Background")
