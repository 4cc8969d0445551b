"""The local cluster as a program of its own, so that neither the operator nor the viewer slows it down.

Alone it is an API server in memory with a fleet on it; with `--fleet-only` the fleet plays on the API server of the
kubeconfig. It runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import yaml

from tests.sandbox.apiserver import ApiServer
from tests.sandbox.demo import roster
from tests.sandbox.fleet import Fleet, FleetOptions, from_kubeconfig
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock


async def play(args: argparse.Namespace) -> None:
    """Serve and play until told to end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    fleets: list[Fleet] = []
    async with AsyncExitStack() as stack:
        if not args.fleet_only:
            await _serve(args, fleets, stack)
        options = FleetOptions(speed=args.speed, plays_job_controller=not args.fleet_only, mints_tokens=True)
        specs = roster.specs(args.nodes, args.fail)
        fleet = Fleet(from_kubeconfig(args.kubeconfig), specs, args.directory / "nodes", options)
        fleets.append(await stack.enter_async_context(fleet))
        await told.wait()


async def _serve(args: argparse.Namespace, fleets: list[Fleet], stack: AsyncExitStack) -> None:
    async def logs(namespace: str, pod: str, container: str, previous: bool) -> str:
        if not fleets:
            raise KeyError(pod)
        return await fleets[0].pod_log(namespace, pod, container, previous)

    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix, track_field_managers=True)
    services = {args.webhook_service: ("127.0.0.1", args.webhook_port)}
    server = ApiServer(store, logs=logs, services=services, directory=args.directory)
    stack.push_async_callback(server.stop)
    await server.start()
    draft = args.kubeconfig.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(server.kubeconfig()))
    draft.rename(args.kubeconfig)  # who waits for the file finds the whole of it


def main() -> None:
    parser = argparse.ArgumentParser(description="The local cluster of the demo.")
    parser.add_argument("--directory", type=Path, required=True, help="where the nodes' files are kept")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="written, or read with --fleet-only")
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--fail", default="")
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument(
        "--webhook-service", default="", help="namespace/name of the operator's webhook service"
    )
    parser.add_argument(
        "--webhook-port", type=int, default=0, help="where that service really is, on loopback"
    )
    parser.add_argument("--fleet-only", action="store_true")
    asyncio.run(play(parser.parse_args()))


if __name__ == "__main__":
    main()
