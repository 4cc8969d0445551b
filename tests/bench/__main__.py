"""`python -m tests.bench`: upgrade simulated fleets and record what that costs, one JSON file for each run.

python -m tests.bench                                  20 nodes on the API server in memory, under a minute
python -m tests.bench --real --nodes 10,100,1000 --concurrency 10 --speed 2
python -m tests.bench show docs/bench/*.json            the table and the charts of stored runs
python -m tests.bench size                             how large a status becomes at 5,000 nodes
python -m tests.bench admission --help                 what a webhook's review costs
python -m tests.bench beside --help                    reviews while the controller upgrades a large fleet
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kairos_operator.runtime.errors import ApiError
from tests.bench import admission, beside, plot, scenario, sizes, table
from tests.bench.machine import machine
from tests.bench.run import RunFailedError, control_plane, run
from tests.cluster.controlplane import ControlPlaneUnavailableError
from tests.sandbox.demo.children import REPOSITORY, ChildEndedError

RESULTS = REPOSITORY / "bench-results"


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line says; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended, as after Ctrl-C
    match words[:1]:
        case ["admission"]:
            sys.argv[1:] = words[1:]
            return admission.main()
        case ["beside"]:
            return beside.main(words[1:])
        case ["show"]:
            return _show(words[1:])
        case ["size"]:
            print(sizes.markdown())
            return 0
    return _measure(words)


def _measure(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scenario.add_flags(parser)
    parser.add_argument("--output", type=Path, default=RESULTS, help="directory of the JSON files and charts")
    args = parser.parse_args(words)
    args.output.mkdir(parents=True, exist_ok=True)
    runs = []
    try:
        for wanted in scenario.scenarios(args):
            runs.append(_one(wanted, args.output))
    except (RunFailedError, ChildEndedError, ControlPlaneUnavailableError, ApiError, TimeoutError) as fault:
        print(f"The run broke off: {fault or repr(fault)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if runs:
            _tell(runs, args.output)
    return 0


def _one(wanted: scenario.Scenario, output: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kairos-bench-") as directory:
        place = Path(directory)
        load = os.getloadavg()[0]
        with control_plane(wanted, place, _progress) as real:
            found = asyncio.run(run(wanted, place, real, _progress))
    found = {"machine": machine(load), **found}
    (output / f"{wanted.title}.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def _show(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench show")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--charts", type=Path, default=RESULTS, help="directory for the charts")
    args = parser.parse_args(words)
    args.charts.mkdir(parents=True, exist_ok=True)
    _tell([json.loads(path.read_text()) for path in args.files], args.charts)
    return 0


def _tell(runs: Sequence[dict[str, Any]], output: Path) -> None:
    ordered = sorted(runs, key=lambda found: found["scenario"]["nodes"])
    print(table.markdown(ordered), table.request_table(ordered[-1]), sep="\n\n")
    (output / "charts.svg").write_text(plot.svg(ordered))


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
