"""The judges themselves: a good story is found good, and each promise broken on purpose is found out."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kairos_operator.api.names import ANNOTATION_CORDONED_BY, Role, child_name
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, Resource
from tests.cluster.rollouts.evidence import Evidence
from tests.cluster.rollouts.recorder import Recorder, Sighting, path_of
from tests.cluster.rollouts.verdict import faults
from tests.sandbox.fleet import Access, Journal, Record
from tests.sandbox.fleet.api import Api

UID, CLAIM = "uid-1", "space/op@uid-1"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
WAITING, FLYING, DONE = ({"phase": phase, "message": phase} for phase in ("Pending", "Running", "Completed"))


@dataclass
class Story:
    """What was seen, as a list that a test can spoil."""

    recorder: Recorder = field(
        default_factory=lambda: Recorder(Api(Access("http://unused")), lambda obj: True)
    )
    journal: Journal = field(default_factory=Journal)
    seconds: int = 0

    def see(self, resource: Resource, obj: dict[str, Any], gone: bool = False) -> None:
        """One more sighting."""
        self.recorder.sightings.append(Sighting(resource, copy.deepcopy(obj), gone))
        self.recorder.latest[resource][path_of(obj)] = copy.deepcopy(obj)

    def op(self, phase: str, *nodes: dict[str, str], resource: Resource = NODE_OPS) -> None:
        """A version of the operation (or of its upgrade) whose nodes are a, b and so on."""
        metadata = {"name": "op", "namespace": "space", "uid": UID}
        if resource is NODE_OPS:
            metadata["ownerReferences"] = [{"uid": "uid-up"}]  # type: ignore[assignment]
        else:
            metadata["uid"] = "uid-up"
        status = {"phase": phase, "nodeStatuses": dict(zip("abc", nodes, strict=False))}
        spec = {"concurrency": 1, "rebootOnSuccess": True, "backoffLimit": 0}
        self.see(resource, {"metadata": metadata, "spec": spec, "status": status})

    def node(self, name: str, *, cordoned_by: str | None = None, cordoned: bool = False) -> None:
        """A version of a node."""
        marks = {ANNOTATION_CORDONED_BY: cordoned_by} if cordoned_by else {}
        metadata = {"name": name, "uid": f"uid-{name}", "annotations": marks}
        self.see(NODES, {"metadata": metadata, "spec": {"unschedulable": cordoned}})

    def job(self, node: str, uid: str) -> None:
        """A Job of the operation."""
        labels, owners = {"kairos.io/node": node}, [{"uid": UID}]
        metadata = {
            "name": uid,
            "namespace": "space",
            "uid": uid,
            "labels": labels,
            "ownerReferences": owners,
        }
        self.see(JOBS, {"metadata": metadata})

    def ran(self, node: str, *events: str) -> None:
        """What the node did: `nodeop` and `sentinel-creator` (start and end), or `reboot` and `boot`."""
        pod = f"{child_name('op', UID, node, Role.JOB)}-x"
        for event in events:
            self.seconds += 1
            time = BEGAN + timedelta(seconds=self.seconds)
            if event in ("reboot", "boot"):
                self.journal.write(Record(time, node, event))  # type: ignore[arg-type]
                continue
            container, _, part = event.partition(" ")
            code = 0 if part == "end" else None
            self.journal.write(Record(time, node, part, "space", pod, container, exit_code=code))  # type: ignore[arg-type]

    def version(self, number: int) -> dict[str, Any]:
        """The status in one of the versions of the NodeOp."""
        found = [one for one in self.recorder.sightings if one.resource is NODE_OPS]
        status: dict[str, Any] = found[number].obj["status"]
        return status

    def faults(self) -> str:
        """What the judges find."""
        return "\n".join(faults(Evidence(self.recorder, self.journal, Counter(), Counter())))


COMMAND = ("nodeop start", "nodeop end")
WORK = (*COMMAND, "sentinel-creator start", "sentinel-creator end", "reboot", "boot")


def good() -> Story:
    """Two nodes, one after the other."""
    story = Story()
    for name in "ab":
        story.node(name)
    story.op("Running", WAITING, WAITING)
    story.op("Running", FLYING, WAITING)
    story.node("a", cordoned_by=CLAIM, cordoned=True)
    story.job("a", "job-a")
    story.ran("a", *WORK)
    story.node("a")
    story.op("Running", DONE, WAITING)
    story.op("Running", DONE, FLYING)
    story.job("b", "job-b")
    story.ran("b", *WORK)
    story.op("Completed", DONE, DONE)
    story.op("Completed", DONE, DONE, resource=NODE_OP_UPGRADES)
    return story


def too_many_by_status(story: Story) -> None:
    story.version(1)["nodeStatuses"]["b"] = FLYING


def too_many_by_the_machines(story: Story) -> None:
    story.journal.records.sort(key=lambda record: (record.event, record.time))
    for second, record in enumerate(list(story.journal.records)):
        moved = Record(
            BEGAN + timedelta(seconds=second),
            record.node,
            record.event,
            record.namespace,
            record.pod,
            record.container,
            exit_code=record.exit_code,
        )
        story.journal.records[second] = moved


def phase_backwards(story: Story) -> None:
    story.op("Running", DONE, FLYING)


def finished_node_changes(story: Story) -> None:
    story.op("Completed", DONE, {**DONE, "message": "another"})


def nodes_appear(story: Story) -> None:
    story.op("Completed", DONE, DONE, DONE)


def completed_in_between(story: Story) -> None:
    story.version(2)["phase"] = "Completed"


def no_command(story: Story) -> None:
    story.journal.records[:] = [one for one in story.journal if one.container != "nodeop" or one.node != "a"]


def no_reboot(story: Story) -> None:
    story.journal.records[:] = [one for one in story.journal if one.event != "boot"]


def command_twice(story: Story) -> None:
    story.ran("a", *COMMAND)


def skipped_and_worked(story: Story) -> None:
    story.version(-1)["nodeStatuses"]["b"] = {
        **DONE,
        "message": "Skipped by preflight",
    }


def two_jobs(story: Story) -> None:
    story.job("a", "job-a-again")


def reboot_without_job(story: Story) -> None:
    story.ran("b", "reboot", "boot")


def foreign_cordon_lifted(story: Story) -> None:
    story.node("a", cordoned=True)
    story.node("a")


def cordon_left(story: Story) -> None:
    story.node("a", cordoned_by=CLAIM, cordoned=True)


def upgrade_differs(story: Story) -> None:
    story.recorder.latest[NODE_OP_UPGRADES]["space", "op"]["status"]["message"] = "another"


def needless_write(story: Story) -> None:
    story.version(-1)["lastUpdated"] = "now"
    story.op("Completed", DONE, DONE)


BROKEN: dict[Callable[[Story], None], str] = {
    too_many_by_status: "2 nodes in flight by its status, 1 allowed",
    too_many_by_the_machines: "began to work while",
    phase_backwards: "a finished operation's status changed",
    finished_node_changes: "finished node b changed",
    nodes_appear: "its nodes changed",
    completed_in_between: "Completed, with nodes",
    no_command: "the command succeeded 0 times",
    no_reboot: "did not reboot after the command",
    command_twice: "started again after it had succeeded",
    skipped_and_worked: "skipped, and yet it worked",
    two_jobs: "two Jobs of one operation",
    reboot_without_job: "2 reboots, and 1 successful Jobs",
    foreign_cordon_lifted: "a cordon of somebody else was lifted",
    cordon_left: "was left behind",
    upgrade_differs: "the upgrade's message is not its NodeOp's",
    needless_write: "changed nothing but times",
}


def test_a_good_story_has_no_fault() -> None:
    assert good().faults() == ""


@pytest.mark.parametrize("spoil", BROKEN, ids=lambda spoil: spoil.__name__)
def test_a_broken_promise_is_found_out(spoil: Callable[[Story], None]) -> None:
    story = good()
    spoil(story)
    assert BROKEN[spoil] in story.faults()
