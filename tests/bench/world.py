"""The cluster of a run as a program of its own: nodes that play their part, and the API server unless it is a real one.

What happens is written to a journal, one JSON object a line, with the times at which it happened in the simulated
world. The program runs until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TextIO

import yaml

from kairos_operator.api.resources import NODES, PODS, Resource
from tests.bench.scenario import Scenario
from tests.sandbox.apiserver import ApiServer
from tests.sandbox.fleet import Fleet, FleetOptions, from_kubeconfig
from tests.sandbox.fleet.api import MERGE, Api
from tests.sandbox.fleet.journal import Record
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock

READY = "ready"
JOURNAL = "journal.jsonl"
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")
_AT_ONCE = 64
_ENDED = {"status": {"phase": "Succeeded"}}


async def play(scenario: Scenario, directory: Path, kubeconfig: Path) -> None:
    """Serve and play until told to end; the file `ready` says when everything is there."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with AsyncExitStack() as stack:
        store = None if scenario.real else await _serve(directory, kubeconfig, stack)
        access = from_kubeconfig(kubeconfig)
        options = FleetOptions(
            speed=scenario.speed,
            plays_job_controller=not scenario.real,
            runs_programs=False,
            heartbeats=scenario.heartbeats,
        )
        api = Api(access)
        await api.open()
        stack.push_async_callback(api.close)
        await _other_pods(
            api, store, scenario
        )  # before there are kubelets: they are over when those see them
        (directory / "fleet").mkdir()
        fleet = Fleet(access, scenario.specs(), directory / "fleet", options)
        journal = stack.enter_context((directory / JOURNAL).open("w"))
        fleet.journal.listener = lambda record: _write(journal, record)
        await stack.enter_async_context(fleet)
        await _furnish(api, scenario)
        (directory / READY).touch()
        await told.wait()


async def _serve(directory: Path, kubeconfig: Path, stack: AsyncExitStack) -> Store:
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix, track_field_managers=True)
    server = ApiServer(store, directory=directory)
    stack.push_async_callback(server.stop)
    await server.start()
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    return store


async def _furnish(api: Api, scenario: Scenario) -> None:
    """Make the nodes as large as real ones, most of which is the list of their images."""
    images = [
        {
            "names": [
                f"registry.example.com/team/image-{number}@sha256:{number:064x}",
                f"team/image-{number}:1.2.3",
            ],
            "sizeBytes": 100_000_000 + number,
        }
        for number in range(40)
    ]
    body = {"status": {"images": images}}
    for first in range(0, scenario.nodes, _AT_ONCE):
        some = scenario.specs()[first : first + _AT_ONCE]
        calls = (api.call("PATCH", NODES.path(None, spec.name, "status"), body, media=MERGE) for spec in some)
        await asyncio.gather(*calls)


async def _other_pods(api: Api, store: Store | None, scenario: Scenario) -> None:
    """Pods that an upgrade has nothing to do with, but that lie in the same cluster, and in each drain's list."""
    if not scenario.other_pods:
        return
    # Theirs is an owner that is there: what has none is collected as garbage.
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}
    owner = await api.call("POST", CONFIG_MAPS.path("default"), body)
    names = [spec.name for spec in scenario.specs()]
    for first in range(0, scenario.other_pods, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, scenario.other_pods))
        pods = [_pod(f"other-{number:06}", names[number % len(names)], owner) for number in numbers]
        if store is None:
            await asyncio.gather(*(_other_pod(api, pod) for pod in pods))
            continue
        for (
            pod
        ) in pods:  # straight into the memory: tens of thousands of requests would take longer than the run
            store.create(PODS, pod, "default")
            store.patch(PODS, pod["metadata"]["name"], _ENDED, "default", subresource="status")
        await asyncio.sleep(0)


async def _other_pod(api: Api, pod: dict[str, Any]) -> None:
    await api.call("POST", PODS.path("default"), pod)
    await api.call("PATCH", PODS.path("default", pod["metadata"]["name"], "status"), _ENDED, media=MERGE)


def _pod(name: str, node: str, owner: dict[str, Any]) -> dict[str, Any]:
    reference = {
        "apiVersion": "v1",
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    environment = [{"name": f"SETTING_{number}", "value": "x" * 40} for number in range(20)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": "other", "app.kubernetes.io/instance": name},
            "ownerReferences": [reference],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "main", "image": "registry.example.com/other:1.2.3", "env": environment}],
        },
    }


def _write(journal: TextIO, record: Record) -> None:
    line = {
        "time": record.time.timestamp(),
        "node": record.node,
        "event": record.event,
        "pod": record.pod,
        "container": record.container,
        "program": record.program,
        "detail": record.detail,
    }
    journal.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="The cluster of one benchmark run.")
    parser.add_argument("--scenario", type=Scenario.from_json, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="written, or read for a real cluster")
    args = parser.parse_args()
    asyncio.run(play(args.scenario, args.directory, args.kubeconfig))


if __name__ == "__main__":
    main()
