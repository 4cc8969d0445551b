"""The end of a run: all is over in time, nothing is left behind, nothing more is done, and the status is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kairos_operator.api.resources import JOBS, LEASES, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS
from kairos_operator.core.upgrade import CHECK_DEADLINE_SECONDS
from tests.sim.bugs import Bugs
from tests.sim.cluster import Change, Object
from tests.sim.ledger import FINAL, Ledger, bearings
from tests.sim.truth import Broken, owner_uid

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

SETTLING = (
    160.0  # seconds in which the last children may still go, and a watch that fell silent is begun anew
)
AWAY = 900.0  # seconds in which every machine that comes back at all is back
QUIET = 120.0  # seconds in which nothing more may be written


class Finale:
    """Knows when a run is over, and judges what it leaves."""

    def __init__(self, simulation: Simulation, ledger: Ledger) -> None:
        self._simulation = simulation
        self._cluster = simulation.cluster
        self._ledger = ledger
        self._stale = True
        self._known: list[Object] = []
        self._cluster.listeners.append(self._heard)
        self._last = max((one.at for one in simulation.scenario.incidents), default=0.0)
        self.created_by = max(op.at for op in simulation.scenario.operations) + 1.0

    def patience(self) -> float:
        """Seconds that all operations together may take once nothing goes wrong any more."""
        total = 1800.0
        nodes = len(self._simulation.scenario.nodes) + len(self._simulation.scenario.incidents)
        for operation in self._simulation.scenario.operations:
            spec = operation.spec
            drain = (spec.get("drainOptions") or {}).get("timeoutSeconds", 300)
            one = (
                400 + drain + 2 * spec.get("rebootTimeoutSeconds", 1800) + spec.get("jobTimeoutSeconds", 600)
            )
            if operation.kind == "NodeOpUpgrade":
                one += CHECK_DEADLINE_SECONDS  # one check that hangs: the node has failed then
            total += nodes * one
        return total

    def over(self) -> bool:
        """Whether every operation is final or gone, and every replica runs."""
        simulation = self._simulation
        if simulation.timeline.now < max(self.created_by, self._last, simulation.outage_until):
            return False
        return not self._unfinished() and all(
            not (r.loop.dead or r.loop.frozen) for r in simulation.replicas.values()
        )

    def unfinished(self) -> str:
        """What is not over, in words."""
        texts = []
        for obj in self._unfinished():
            status = obj.get("status") or {}
            nodes = {
                n: (r.get("step"), r.get("message")) for n, r in (status.get("nodeStatuses") or {}).items()
            }
            flying = {n: r for n, r in nodes.items() if r[0] not in ("Done",)}
            texts.append(f"{obj['kind']} {obj['metadata']['name']} {status.get('phase')}: {flying}")
        return "; ".join(texts) or "a replica is not running"

    def judge(self, bugs: Bugs) -> None:
        """Look at what is left; raises Broken."""
        simulation = self._simulation
        simulation.weather.calm_from = min(simulation.weather.calm_from, simulation.timeline.now)
        self._machines_are_back(bugs)
        self._pass(SETTLING, bugs)
        self._nothing_left()
        self._upgrades_agree()
        written: list[Change] = []
        self._cluster.listeners.append(written.append)
        calls = self._simulation.calls
        for name in self._simulation.replicas:
            self._simulation.kill(name, "for the last look", down=1.0)
        self._pass(QUIET, bugs)
        ours = [c for c in written if c.actor.startswith("operator") and c.resource != LEASES]
        if ours:
            first = ours[0]
            raise Broken(f"after all was over, {first.actor} still wrote {first.resource.kind} {first.name}")
        made = self._simulation.calls - calls
        leases = len(self._simulation.replicas) * (QUIET if self._simulation.scenario.replicas > 1 else 0)
        if made > 60 + leases:
            raise Broken(f"{made} requests in {QUIET:.0f} s after all was over")

    def _machines_are_back(self, bugs: Bugs) -> None:
        """Wait for those that are cut off or without power for a while: their pods cannot say that they ended."""
        machines = self._simulation.world.machines.values()
        until = self._simulation.timeline.now + AWAY
        while any(one.away and not one.lost for one in machines) and self._simulation.timeline.step(until):
            bugs.raise_first()

    def _pass(self, seconds: float, bugs: Bugs) -> None:
        until = self._simulation.timeline.now + seconds
        while self._simulation.timeline.step(until):
            bugs.raise_first()

    def _heard(self, change: Change) -> None:
        self._stale = self._stale or change.resource in (NODE_OPS, NODE_OP_UPGRADES)

    def _unfinished(self) -> list[Object]:
        if self._stale:
            self._stale = False
            found = [*self._cluster.all(NODE_OPS), *self._cluster.all(NODE_OP_UPGRADES)]
            self._known = [obj for obj in found if not _over(obj)]
        return self._known

    def _nothing_left(self) -> None:
        operations = self._ledger.operations
        for node in self._cluster.all(NODES):
            name = node["metadata"]["name"]
            claimed, cordoned = bearings(node)
            if claimed:
                raise Broken(f"{name} is still claimed by {claimed}")
            if cordoned:
                holder = self._ledger.by_claim(cordoned)
                record = holder.record(name) if holder is not None and not holder.gone else {}
                kept = record.get("outcome") == "Failed" and record.get("keepCordon")
                if holder is None or not kept or holder.spec.get("uncordonOnFailure"):
                    raise Broken(f"{name} is left cordoned by {cordoned}")
        machines = self._simulation.world.machines
        for job in self._cluster.all(JOBS):
            node = job["spec"]["template"]["spec"]["nodeName"]
            ended = (job.get("status") or {}).get("conditions")
            if not ended and owner_uid(job) in operations:
                raise Broken(f"Job {job['metadata']['name']} on {node} was left unfinished")
        for pod in self._cluster.all(PODS):
            machine = machines.get(pod["spec"].get("nodeName", ""))
            unfinished = pod["status"].get("phase") not in ("Succeeded", "Failed")
            labels = pod["metadata"].get("labels") or {}
            check = "kairos.io/preflight" in labels or "kairos.io/postflight" in labels
            ours = owner_uid(pod) in operations
            going = "deletionTimestamp" in pod["metadata"]
            if machine is not None and machine.lost and "kairos.io/reboot" in labels:
                # It was back, and then lost for good, before the pod that rebooted it could say that it had ended.
                going = going or (owner_uid(pod), machine.name) in self._ledger.truth.came_back
            if ours and not going and (unfinished or check) and machine is not None:
                raise Broken(f"pod {pod['metadata']['name']} on {machine.name} was left behind")

    def _upgrades_agree(self) -> None:
        for upgrade in self._cluster.all(NODE_OP_UPGRADES):
            status = upgrade.get("status") or {}
            meta = upgrade["metadata"]
            node_op = self._cluster.find(NODE_OPS, meta["name"], meta["namespace"])
            if node_op is None or owner_uid(node_op) != meta["uid"]:
                continue
            told = node_op.get("status") or {}
            if status.get("phase") != told.get("phase") or status.get("nodeStatuses") != told.get(
                "nodeStatuses"
            ):
                raise Broken(f"upgrade {meta['name']} does not say what its NodeOp says")


def _over(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") in FINAL and "deletionTimestamp" not in obj["metadata"]
