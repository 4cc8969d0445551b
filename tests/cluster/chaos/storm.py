"""Rollouts under fire. Every rollout is judged at its end like any other scenario (tests/cluster/rollouts).

Rules: only processes that were started here are killed, by their pid; everything random comes from one seed; a storm
ends after so many kills, and each rollout has its own deadline.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.cluster.controlplane import ControlPlane
from tests.cluster.rollouts.arena import Arena, opened
from tests.cluster.rollouts.replica import Replica
from tests.sandbox.fleet import Agent, NodeSpec, Reboot
from tests.waiting import eventually
from webhooks.configurations import by_url, mutating_configuration, validating_configuration

ROLLOUT_SECONDS = 300.0
ELECTION = (
    "--leader-elect",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
)
SPEED = 10.0
Say = Callable[[str], None]


@dataclass
class Tally:
    """What a storm came to."""

    rollouts: int = 0
    operator_kills: int = 0
    api_server_kills: int = 0
    etcd_pauses: int = 0
    leader_freezes: int = 0
    webhook_losses: int = 0
    nodes_upgraded: int = 0
    most_commands_on_a_node: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Storm:
    """One storm over one control plane."""

    plane: ControlPlane
    directory: Path
    nodes: int
    rng: random.Random
    say: Say
    tally: Tally = field(default_factory=Tally)

    async def until(self, kills: int) -> Tally:
        """Rollouts until the operator was killed so often; every kind of trouble comes in turn."""
        others = (self._kill_api_server, self._pause_etcd, self._freeze_leader, self._lose_webhook)
        while self.tally.operator_kills < kills and not self.tally.faults:
            turn, other = divmod(self.tally.rollouts, 2)
            await self._rollout(others[turn % len(others)] if other else self._kill_operator, kills)
        return self.tally

    async def _rollout(self, trouble: Callable[[Arena, Replica, int], Awaitable[None]], kills: int) -> None:
        number = self.tally.rollouts = self.tally.rollouts + 1
        where = self.directory / f"rollout-{number}"
        where.mkdir()
        flags = ELECTION if trouble == self._freeze_leader else ()
        operator = Replica(self.plane, where, "operator", *flags, CONTROLLER_POD_NAMESPACE="default")
        specs = [NodeSpec("cp", control_plane=True)]
        specs += [
            NodeSpec(f"w{index}", agent=Agent(seconds=self.rng.uniform(2, 20)), reboot=Reboot(seconds=30))
            for index in range(1, self.nodes)
        ]
        await operator.start()
        try:
            async with opened(self.plane, operator, where, *specs, speed=SPEED) as arena:
                await arena.upgrade(concurrency=4)
                troubles = asyncio.create_task(trouble(arena, operator, kills))
                try:
                    await self._finished(arena, troubles)
                finally:
                    troubles.cancel()
                    await asyncio.gather(troubles, return_exceptions=True)
                if not operator.running:
                    await operator.start()
                await self._count(arena)
        except (AssertionError, TimeoutError) as fault:
            self.tally.faults.append(f"rollout {number} ({trouble.__name__.strip('_')}): {fault}")
        finally:
            operator.kill()
        self.say(f"rollout {number}, {trouble.__name__.strip('_').replace('_', ' ')}: {self.tally}")

    async def _finished(self, arena: Arena, troubles: asyncio.Task[None]) -> None:
        ended = asyncio.create_task(
            arena.until(
                lambda: arena.upgrade_status().get("phase") in ("Completed", "Failed"),
                "done",
                ROLLOUT_SECONDS,
            )
        )
        await asyncio.wait({ended, troubles}, return_when=asyncio.FIRST_COMPLETED)
        # Trouble that ends is over; trouble that fails is a fault.
        if troubles.done() and not troubles.cancelled() and troubles.exception() is not None:
            ended.cancel()
            await troubles
        await ended
        assert arena.upgrade_status()["phase"] == "Completed", arena.upgrade_status().get("message")

    async def _count(self, arena: Arena) -> None:
        for view in arena.fleet.nodes.values():
            commands = sum(record.container == "nodeop" for record in view.commands_run)
            self.tally.nodes_upgraded += commands
            self.tally.most_commands_on_a_node = max(self.tally.most_commands_on_a_node, commands)

    async def _kill_operator(self, arena: Arena, operator: Replica, kills: int) -> None:
        """SIGKILL at random moments, and at once a new process."""
        while self.tally.operator_kills < kills:
            await asyncio.sleep(self.rng.uniform(0.0, 2.0))
            operator.kill()
            self.tally.operator_kills += 1
            await operator.start()

    async def _kill_api_server(self, arena: Arena, operator: Replica, kills: int) -> None:
        """The API server crashes and is started again, three times; the operator dies once while it is away."""
        for turn in range(3):
            await asyncio.sleep(self.rng.uniform(1.0, 4.0))
            if turn == 1:
                operator.kill()
                self.tally.operator_kills += 1
            await asyncio.to_thread(self.plane.restart, "kube-apiserver")
            self.tally.api_server_kills += 1
            if turn == 1:
                await operator.start()

    async def _pause_etcd(self, arena: Arena, operator: Replica, kills: int) -> None:
        """etcd hangs for ten seconds."""
        await asyncio.sleep(self.rng.uniform(1.0, 4.0))
        etcd = self.plane.program("etcd")
        etcd.pause()
        self.tally.etcd_pauses += 1
        try:
            await asyncio.sleep(10.0)
        finally:
            etcd.resume()

    async def _lose_webhook(self, arena: Arena, operator: Replica, kills: int) -> None:
        """The webhooks are registered and nobody serves them, from the middle of the rollout to its end."""
        authority = base64.b64encode(self.plane.ca_file.read_bytes()).decode()
        nowhere = by_url("https://127.0.0.1:1", authority)
        registered = [mutating_configuration("chaos", nowhere), validating_configuration("chaos", nowhere)]
        await asyncio.sleep(self.rng.uniform(1.0, 4.0))
        self.tally.webhook_losses += 1
        try:
            for body in registered:
                await asyncio.to_thread(self.plane.kubectl, "apply", "-f", "-", stdin=json.dumps(body))
            operator.kill()
            self.tally.operator_kills += 1
            await operator.start()
            await asyncio.sleep(ROLLOUT_SECONDS)
        finally:
            for body in registered:
                self.plane.kubectl("delete", body["kind"], "chaos", "--ignore-not-found")

    async def _freeze_leader(self, arena: Arena, operator: Replica, kills: int) -> None:
        """The leader is frozen for longer than its lease, a second replica takes over, then the first thaws: it must
        end without acting.
        """
        second = Replica(
            self.plane, operator.log_file.parent, "second", *ELECTION, CONTROLLER_POD_NAMESPACE="default"
        )
        await second.start()
        try:
            for leader in (operator, second):
                await asyncio.sleep(self.rng.uniform(1.0, 3.0))
                leader.pause()
                self.tally.leader_freezes += 1
                await asyncio.sleep(8.0)
                leader.resume()
                await eventually(partial(_gave_up, leader))
                await leader.start()
            await asyncio.sleep(ROLLOUT_SECONDS)
        finally:
            second.kill()


async def _gave_up(leader: Replica) -> bool:
    return not leader.running
