"""Runs tests on real machines, or cleans up after a run that was killed.

    python -m tests.machines              # all tests of machines
    python -m tests.machines run -- -k reboot -x
    python -m tests.machines cleanup      # what killed runs have left: directories and cgroups

Needs root on Linux, debootstrap and iproute2. The first run makes a root file system, the operator's image and,
where KUBEBUILDER_ASSETS has none, the programs of Kubernetes; all of it goes to the user's cache.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from tests.machines.lack import lacking
from tests.machines.launcher import clean_up, launch


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main() -> int:
    """The exit code: that of pytest, or 3 where this box cannot run machines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", nargs="?", choices=("run", "cleanup"), default="run")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    given = parser.parse_args()
    why = lacking()
    if why:
        print(f"NO REAL MACHINES: {why}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, _stop)
    if given.action == "cleanup":
        return 0 if clean_up(print) else 1
    return launch(given.arguments, print)


if __name__ == "__main__":
    sys.exit(main())
