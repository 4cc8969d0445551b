"""Runs the node labeler: `python -m kairos_operator.labeler`, configured by the environment alone.

It looks at the node at once, then every ten minutes; after an upgrade the node has rebooted, and the container has
started anew. Exit codes: 2 wrong environment, 143 on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from kairos_operator.labeler.facts import Facts, facts, patch
from kairos_operator.labeler.node import REPEATABLE, OwnNode
from kairos_operator.labeler.release import release_of
from kairos_operator.labeler.settings import Settings, SettingsError, settings_from

MAX_CMDLINE = 65536
LONGEST_PAUSE = 60.0
"""Seconds between two tries while the API server cannot be reached or refuses."""


def look(settings: Settings, node: OwnNode) -> str:
    """Makes the Node say what the host is; returns what was done, in a sentence. Raises one of REPEATABLE."""
    wanted = facts_of(settings)
    if wanted is None:
        return "This is no Kairos node, and is left alone."
    change = patch(node.read(), wanted)
    if change is None:
        return "The node's labels and annotations are left as they are."
    node.patch(change)
    changed = sorted({**change["metadata"].get("labels", {}), **change["metadata"].get("annotations", {})})
    return f"Wrote {', '.join(changed)}."


def facts_of(settings: Settings) -> Facts | None:
    """What the host says of itself. Raises OSError."""
    release = release_of(settings.host)
    with settings.cmdline.open("rb") as file:
        cmdline = file.read(MAX_CMDLINE).decode("utf-8", "replace")
    return facts(release, cmdline)


def run(settings: Settings, node: OwnNode) -> NoReturn:
    """Looks for ever, and says what is new."""
    said, failures = "", 0
    while True:
        try:
            saying, pause, failures = look(settings, node), settings.interval, 0
        except REPEATABLE as error:
            pause, failures = min(2.0**failures, LONGEST_PAUSE), min(failures + 1, 10)
            saying = f"Could not look after the node, and will try again: {error}"
        if saying != said:
            print(saying, flush=True)
        said = saying
        time.sleep(pause)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """The exit code of the program."""
    # As the first process of a container it would not be ended by a signal that it does not catch.
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    run(settings, OwnNode(settings))


if __name__ == "__main__":
    sys.exit(main())
