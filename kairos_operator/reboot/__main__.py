"""Runs the reboot program: `python -m kairos_operator.reboot`, configured by the environment alone.

Exit codes: 0 rebooted and back, 1 failed (with a termination message), 2 wrong environment, 143 on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from .files import JobFiles
from .pod import OwnPod
from .program import RebootProgram, say
from .settings import SettingsError, settings_from


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # At once and wherever it is: every step can be repeated by the next container.
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """The exit code of the program."""
    # As the first process of a container it would not be ended by a signal that it does not catch.
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        say(str(error))
        return 2
    return RebootProgram(settings, OwnPod(settings), JobFiles(settings.sentinel_dir, settings.job_name)).run()


if __name__ == "__main__":
    sys.exit(main())
