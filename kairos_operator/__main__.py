"""The `kairos-operator` command: parses flags and hands over; no logic of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from kairos_operator.settings import BadSetting, Settings, add_run_flags
from kairos_operator.validate import add_validate_flags, validate_files


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="kairos-operator", description="Upgrades and reboots Kairos nodes.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_run_flags(commands.add_parser("run", help="run the controller and the webhooks"))
    add_validate_flags(commands.add_parser("validate", help="check manifests without a cluster"))
    args = parser.parse_args(arguments)
    return validate_files(args) if args.command == "validate" else _run(args)


def _run(args: argparse.Namespace) -> int:
    from kairos_operator.allocator import give_back_large_blocks, shorten_tls_buffers

    give_back_large_blocks()
    shorten_tls_buffers()
    from kairos_operator import logs
    from kairos_operator.process import run
    from kairos_operator.runtime.errors import NoCluster

    try:
        settings = Settings.from_args(args, os.environ)
    except BadSetting as fault:
        print(f"kairos-operator: {fault}", file=sys.stderr)
        return 2
    logs.set_up(settings.log_level, settings.log_format)
    try:
        return asyncio.run(run(settings))
    except NoCluster as fault:
        print(f"kairos-operator: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
