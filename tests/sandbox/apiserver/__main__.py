"""Runs the API server until it is interrupted: `python -m tests.sandbox.apiserver [--port N] [--kubeconfig FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import tempfile
from pathlib import Path

import yaml

from tests.sandbox.apiserver.server import ApiServer
from tests.sandbox.store import Store, random_suffix, random_uid, wall_clock


async def serve(port: int, kubeconfig: Path) -> None:
    """Serve until SIGINT or SIGTERM; writes the kubeconfig and prints where it is."""
    stopped = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    store = Store(clock=wall_clock, uids=random_uid, suffixes=random_suffix, track_field_managers=True)
    server = ApiServer(store)
    await server.start(port)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))
    print(f"serving on {server.url}\nexport KUBECONFIG={kubeconfig}", flush=True)
    await stopped.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A Kubernetes API server in memory.")
    parser.add_argument("--port", type=int, default=0, help="the port on loopback; a free one by default")
    parser.add_argument("--kubeconfig", type=Path, help="where to write the kubeconfig")
    args = parser.parse_args()
    path = args.kubeconfig or Path(tempfile.mkdtemp(prefix="sandbox-")) / "kubeconfig"
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(args.port, path))


if __name__ == "__main__":
    main()
