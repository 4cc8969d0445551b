"""`--block NODE`: a pod on that node whose PodDisruptionBudget forbids to evict it, and what the tools say about it.

The demo asks `kubectl kairos why` once the drain stands still, shows the answer, and then lifts the budget. With
`--keep` that is left to whoever watches, for as long as the drain may take.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kairos_operator.api.resources import NAMESPACES, POD_DISRUPTION_BUDGETS, PODS, Resource
from kairos_operator.runtime.client import Client, Object
from kairos_operator.runtime.errors import ApiError, NotFound
from tests.sandbox.demo.board import Board, View
from tests.sandbox.demo.children import REPOSITORY
from tests.waiting import eventually

SPACE, NAME, POD, CONTAINER = "shop", "web", "web-1", "web"
LIFT = f"kubectl -n {SPACE} delete poddisruptionbudget {NAME}"
LOOK_SECONDS = 4.0  # that the answer stays before the demo goes on by itself
KEPT_SECONDS = 240.0  # less than the 300 after which the operator gives the drain up
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets")
_SELECTOR = {"matchLabels": {"app": NAME}}
_SPEC = {"containers": [{"name": CONTAINER, "image": "nginx:1.27"}]}


async def set_up(client: Client, node: str) -> None:
    """A namespace with one replica of a web server, on `node`, that its budget wants to have always."""
    await client.create(NAMESPACES, {**_named(NAMESPACES, SPACE)})
    template = {"metadata": {"labels": {"app": NAME}}, "spec": _SPEC}
    replicas = {"spec": {"replicas": 1, "selector": _SELECTOR, "template": template}}
    owner = await client.create(REPLICA_SETS, _named(REPLICA_SETS, NAME) | replicas, SPACE)
    pod = _named(PODS, POD) | {"spec": {**_SPEC, "nodeName": node}}
    pod["metadata"] |= {"labels": {"app": NAME}, "ownerReferences": [_owned_by(owner)]}

    async def made() -> bool:
        try:  # a real API server first waits for the namespace's service account
            await client.create(PODS, pod, SPACE)
        except ApiError:
            return False
        return True

    await eventually(made)
    budget = {"spec": {"minAvailable": 1, "selector": _SELECTOR}}
    await client.create(POD_DISRUPTION_BUDGETS, _named(POD_DISRUPTION_BUDGETS, NAME) | budget, SPACE)

    async def runs() -> bool:
        status = (await client.get(PODS, POD, SPACE)).get("status") or {}
        return bool(status.get("phase") == "Running")

    await eventually(runs)


def _named(resource: Resource, name: str) -> dict[str, Any]:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}


def _owned_by(owner: Object) -> dict[str, Any]:
    meta = owner["metadata"]
    kind = {"apiVersion": REPLICA_SETS.api_version, "kind": REPLICA_SETS.kind}
    return {**kind, "name": meta["name"], "uid": meta["uid"], "controller": True}


@dataclass(slots=True)
class Blockade:
    """The blocked drain of one run; `keep` leaves it to the user to lift the budget."""

    client: Client
    kubeconfig: Path
    keep: bool
    _task: asyncio.Task[None] | None = field(default=None)

    def look(self, view: View, board: Board) -> None:
        """Call it whenever something is new on the board. Raises what went wrong in the background."""
        if self._task is None and board.upgrade is not None and board.upgrade.blocked:
            self._task = asyncio.create_task(self._explain(view, board))
        if self._task is not None and self._task.done():
            self._task.result()

    def end(self) -> None:
        """Leave off."""
        if self._task is not None:
            self._task.cancel()

    async def _explain(self, view: View, board: Board) -> None:
        view.stage(f"The drain stands still. $ kubectl kairos why {board.upgrade_name}")
        for line in await self._why(board.upgrade_name):
            view.stage(f"  {line}")
        if self.keep:
            view.stage("Look at it from another terminal:")
            for line in (
                *ways_in(self.kubeconfig),
                f"kubectl kairos status {board.upgrade_name} --watch",
                LIFT,
            ):
                view.stage(f"  {line}")
            view.stage(
                f"The last lets the drain go on; the demo does so itself in {KEPT_SECONDS / 60:.0f} minutes"
            )
        await asyncio.sleep(KEPT_SECONDS if self.keep else LOOK_SECONDS)
        view.stage(f"The budget is lifted. $ {LIFT}")
        try:
            await self.client.delete(POD_DISRUPTION_BUDGETS, NAME, SPACE)
        except NotFound:
            return  # somebody was quicker

    async def _why(self, name: str) -> list[str]:
        """What the plugin says, run as the program that it is."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kairos_operator.cli", "why", name, "--kubeconfig", str(self.kubeconfig)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=REPOSITORY,
        )
        said, _ = await child.communicate()
        return said.decode(errors="replace").splitlines()


def ways_in(kubeconfig: Path) -> tuple[str, str]:
    """What another terminal has to be told, so that kubectl finds the cluster and the plugin."""
    programs = Path(sys.executable).parent
    return (
        f"export KUBECONFIG={shlex.quote(str(kubeconfig))}",
        f"export PATH={shlex.quote(str(programs))}:$PATH",
    )
