"""What really happened to each node, in the form in which the judge asks for it. Written by the world alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

OLDEST_ANSWER = 90.0  # seconds that a fact may be old when what follows from it is done: watches lag up to 72

Object = dict[str, Any]
Place = tuple[str, str]  # UID of the NodeOp, name of the node


class Broken(AssertionError):
    """Something happened that must never happen."""


def owner_uid(obj: Object) -> str:
    """The UID of an object's controller, or nothing."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((str(one["uid"]) for one in references if one.get("controller")), "")


@dataclass(slots=True)
class Truth:
    """The deeds, by operation and node."""

    stubborn: dict[str, float] = field(default_factory=dict)  # app -> seconds that an end takes
    jobs: dict[str, Place] = field(default_factory=dict)  # Jobs that were made, by UID
    job_names: dict[str, str] = field(default_factory=dict)  # their names to UIDs, the latest
    attempts: Counter[str] = field(default_factory=Counter)  # starts of the command, by Job UID
    succeeded: dict[Place, list[str]] = field(default_factory=dict)  # the Jobs in which the command did
    checks: set[tuple[str, str, str]] = field(default_factory=set)  # operation, node, role[-skipped]
    deleted_jobs: set[str] = field(default_factory=set)  # by people
    unrebooted: set[Place] = field(default_factory=set)  # where the command did, and no reboot followed yet
    rebooting: dict[str, str] = field(
        default_factory=dict
    )  # node -> operation, from the reboot until it is back
    outlasting: set[str] = field(default_factory=set)  # Jobs that were there before a boot of their node
    came_back: set[Place] = field(default_factory=set)  # nodes that booted after the command's success
    excuses: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def excuse(self, node: str, why: str) -> None:
        """Something happened on the node (or, with "*", to all) that an operation may fail for."""
        if why not in self.excuses[node]:
            self.excuses[node].append(why)

    def stubbornness(self, pod: Object) -> float:
        """How many seconds a user's pod takes to end; 0 for one that ends soon."""
        return self.stubborn.get((pod["metadata"].get("labels") or {}).get("app", ""), 0.0)

    def command_started(self, pod: Object, node: str) -> int:
        """The operation's command starts; returns which try of the Job this is."""
        job = owner_uid(pod)
        if job not in self.jobs:
            raise Broken(f"the command runs on {node} for a Job that nobody made")
        self.attempts[job] += 1
        return self.attempts[job]

    def command_succeeded(self, pod: Object, node: str) -> None:
        """The command ended well."""
        job = owner_uid(pod)
        place = self.jobs[job]
        # A Job tries again where power was lost between the command's end and its record. Another Job never may, but
        # for one whose forerunners were deleted; then what it did counts, and wants its own reboot. If it was there
        # already when the node booted for the one before, that reboot cannot be told from its own.
        jobs = self.succeeded.setdefault(place, [])
        if job not in jobs:
            if not self.deleted_jobs.issuperset(jobs):
                raise Broken(f"the command succeeded on {node} in two Jobs of one operation")
            jobs.append(job)
            if job not in self.outlasting:
                self.came_back.discard(place)
        # A further success of the same Job, whose pod was taken away before its end was recorded, counts as well.
        self.unrebooted.add(place)

    def checked(self, pod: Object, role: str, *, skipped: bool) -> None:
        """A preflight or postflight had nothing against the node."""
        node = pod["spec"]["nodeName"]
        self.checks.add((owner_uid(pod), node, f"{role}-skipped" if skipped else role))

    def rebooted(self, pod: Object, node: str, job: str) -> None:
        """The reboot pod reboots its node."""
        place = (owner_uid(pod), node)
        if place not in self.succeeded:
            raise Broken(f"{node} is rebooted without the success of Job {job}")
        if place not in self.unrebooted:
            raise Broken(f"{node} is rebooted again, and the command has not succeeded since")
        self.unrebooted.discard(place)
        self.rebooting[node] = place[0]

    def booted(self, node: str) -> None:
        """The node has come up. Whose doing that was does not matter to what the operations wanted from a reboot."""
        self.came_back.update(place for place in self.succeeded if place[1] == node)
        self.outlasting.update(job for job, place in self.jobs.items() if place[1] == node)

    def back(self, node: str) -> None:
        """The node is Ready after a boot."""
        self.rebooting.pop(node, None)
