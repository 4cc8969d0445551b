"""What may be said of a node that failed: each message is true only where the world has done what it speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TROUBLE = ("down", "cut off")  # nobody hears of the node
_REMOVED = ("its Job was deleted", "a pod was deleted", "its Node was deleted")
_TRUE_IF: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), excuses)
    for pattern, excuses in (
        (r"Job failed: .*boom", ("the command failed",)),
        (r"Job failed: .*\(NodeRebooted\)", ("down",)),
        (r"Job failed: ", ("the command failed", "the command hangs", *_TROUBLE, *_REMOVED)),
        (r"Job .* (is gone before|was deleted before)", _REMOVED),
        (r"Preflight failed: container", ("the preflight failed", "a pod took too long")),
        (r"Postflight failed: .*\(NodeRebooted\)", ("down",)),
        (r"Postflight failed: (container|the postflight)", ("the postflight failed", "a pod took too long")),
        (r"(Pre|Post)flight failed: no verdict .*not Ready", _TROUBLE),
        (r"Reboot failed: reboot: not permitted", ("the reboot was refused",)),
        (r"Reboot failed: the node was still up", ("the node stays up",)),
        (
            r"Reboot failed: not back .*bootID did not change",
            ("the node stays up", "a pod was deleted", *_TROUBLE),
        ),
        (r"Reboot failed: not back .*(did not come back|not Ready)", _TROUBLE),
        (r"The node has not been Ready", _TROUBLE),
        (r"The node was deleted", ("its Node was deleted",)),
        (r"Drain failed: somebody made the node schedulable", ("uncordoned",)),
    )
)


def untrue(message: str, excuses: Sequence[str]) -> bool:
    """Whether a node is said to have failed by what did not happen there, given all that did."""
    for pattern, needed in _TRUE_IF:
        if pattern.match(message):
            return not any(why.startswith(needed) for why in excuses)
    return False
