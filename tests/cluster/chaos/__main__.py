"""`python -m tests.cluster.chaos --kills 100`: a storm over a control plane of its own, and its figures."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.cluster.chaos.storm import Storm
from tests.cluster.controlplane import Assets, ControlPlane, Options, find_control_plane

CRDS = Path(__file__).parents[3] / "crds"


def main() -> int:
    """Run a storm; returns 1 if anything happened that must never happen."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs of the operator (default: 100)")
    parser.add_argument("--nodes", type=int, default=20, help="nodes of each rollout (default: 20)")
    parser.add_argument("--seed", type=int, default=None, help="of all that is random (default: a new one)")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    found = find_control_plane(lambda line: print(line, file=sys.stderr))
    if not isinstance(found, Assets):
        sys.exit("chaos needs the programs of a control plane, not a cluster that others run")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kairos-chaos-") as place:
        directory = Path(place)
        with ControlPlane(found.directory, directory / "control-plane", Options()) as plane:
            plane.kubectl("apply", "--server-side", "-k", str(CRDS))
            plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
            storm = Storm(
                plane, directory, args.nodes, random.Random(seed), lambda line: print(line, flush=True)
            )
            tally = asyncio.run(storm.until(args.kills))
    figures = {"seed": seed, "nodes": args.nodes, "seconds": round(time.monotonic() - began), **asdict(tally)}
    print(json.dumps(figures, indent=2))
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
