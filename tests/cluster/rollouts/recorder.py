"""The outside observer: every version of every node, operation and Job, in the order in which the API server told it.

It has watches of its own and shares nothing with the operator's client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, Resource
from tests.sandbox.fleet.api import Api

WATCHED = (NODES, NODE_OPS, NODE_OP_UPGRADES, JOBS)
PATIENCE = 60.0
Obj = dict[str, Any]
Path = tuple[str, str]
"""Namespace (empty for nodes) and name."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One version of an object, or its end."""

    resource: Resource
    obj: Obj
    gone: bool = False

    @property
    def path(self) -> Path:
        """Namespace and name of the object."""
        return path_of(self.obj)

    @property
    def uid(self) -> str:
        """UID of the object."""
        return str(self.obj["metadata"]["uid"])


def path_of(obj: Obj) -> Path:
    """Namespace and name of an object."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


@dataclass
class Recorder:
    """What was seen so far; `mine` says which objects belong to the scenario."""

    api: Api
    mine: Callable[[Obj], bool]
    sightings: list[Sighting] = field(default_factory=list)
    latest: dict[Resource, dict[Path, Obj]] = field(default_factory=lambda: {one: {} for one in WATCHED})
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Begins to watch, and returns once everything that is there has been seen."""
        listed = []
        for resource in WATCHED:
            seen, gone = partial(self._see, resource), partial(self._gone, resource)
            listed.append(asyncio.Event())
            self._tasks.append(asyncio.create_task(self.api.follow(resource, seen, gone, listed[-1])))
        await asyncio.gather(*(one.wait() for one in listed))

    async def stop(self) -> None:
        """Ends the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def poke(self) -> None:
        """Something else has happened that a waiter may look for."""
        self._changed.set()

    async def until(self, fact: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Returns as soon as a sighting (or a poke) makes `fact` true. Raises TimeoutError with `what`."""
        try:
            async with asyncio.timeout(seconds):
                while not fact():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {seconds:g} s: {what}") from None

    def versions(self, resource: Resource) -> dict[str, list[Sighting]]:
        """All sightings of each object of a resource, by UID."""
        found: dict[str, list[Sighting]] = {}
        for one in self.sightings:
            if one.resource is resource:
                found.setdefault(one.uid, []).append(one)
        return found

    def _see(self, resource: Resource, obj: Obj) -> None:
        if self.mine(obj):
            self.sightings.append(Sighting(resource, obj))
            self.latest[resource][path_of(obj)] = obj
            self.poke()

    def _gone(self, resource: Resource, obj: Obj) -> None:
        if self.mine(obj):
            self.sightings.append(Sighting(resource, obj, gone=True))
            self.latest[resource].pop(path_of(obj), None)
            self.poke()
