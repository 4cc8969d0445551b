"""Watches the cluster through its API and keeps the board up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kairos_operator.api.resources import EVENTS, NODE_OP_UPGRADES, NODES, Resource
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store, T
from tests.sandbox.demo.board import (
    Board,
    Happening,
    Machine,
    Upgrade,
    parse_happening,
    parse_machine,
    parse_upgrade,
)


class Watching:
    """The watches behind a board; `news` is set whenever something is new on it."""

    def __init__(self, client: Client, board: Board) -> None:
        self.board = board
        self.news = asyncio.Event()
        self._name = ""
        self._upgrades: dict[str, Upgrade] = {}
        self._happenings: list[tuple[str, Happening]] = []
        self._reflectors: list[Reflector[Any]] = []
        self._follow(client, NODES, parse_machine, self._machine)
        self._follow(client, NODE_OP_UPGRADES, parse_upgrade, self._upgrade)
        self._follow(client, EVENTS, _regarded, self._happening)

    def follow_upgrade(self, name: str) -> None:
        """Put the upgrade of that name on the board, with what was heard of it before its name was known."""
        self._name = name
        if name in self._upgrades:
            self.board.learn(self._upgrades[name])
        self.board.happenings.extend(happening for about, happening in self._happenings if about == name)
        self.news.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch while the block runs, which begins once everything was listed."""
        tasks = [asyncio.create_task(one.run()) for one in self._reflectors]
        try:
            await asyncio.gather(*(one.synced.wait() for one in self._reflectors))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(
        self,
        client: Client,
        resource: Resource,
        parse: Callable[[Mapping[str, Any]], T],
        tell: Callable[[T | None, T | None], None],
    ) -> None:
        store: Store[T] = Store(parse)
        store.subscribe(tell)
        namespace = "default" if resource.namespaced else None
        self._reflectors.append(Reflector(client, resource, store, clock=SystemClock(), namespace=namespace))

    def _machine(self, old: Machine | None, new: Machine | None) -> None:
        if new is not None:
            self.board.machines[new.name] = new
        elif old is not None:
            self.board.machines.pop(old.name, None)
        self.news.set()

    def _upgrade(self, _: Upgrade | None, new: Upgrade | None) -> None:
        if new is None:
            return
        self._upgrades[new.name] = new
        if new.name == self._name:
            self.board.learn(new)
            self.news.set()

    def _happening(self, old: tuple[str, Happening] | None, new: tuple[str, Happening] | None) -> None:
        if old is not None or new is None:
            return
        self._happenings.append(new)
        if new[0] == self._name:
            self.board.happenings.append(new[1])
            self.news.set()


def _regarded(obj: Mapping[str, Any]) -> tuple[str, Happening]:
    """An Event, with the upgrade that it is about, if it is about one."""
    about = obj.get("regarding") or {}
    name = about.get("name", "") if about.get("kind") == NODE_OP_UPGRADES.kind else ""
    return name, parse_happening(obj)
