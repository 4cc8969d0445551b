"""The `kubectl_complete-kairos` command, which kubectl asks while a `kubectl kairos` line is completed.

kubectl passes the words after `kairos`, the unfinished one last, and reads one proposal a line and a last line with a
directive (cobra's ShellCompDirective); the proposals are those of the command's own completion.
"""

from __future__ import annotations

import os
import shlex
import sys

from kairos_operator.cli.__main__ import COMPLETION, main

NO_FILES = 4  # ShellCompDirectiveNoFileComp


def complete() -> None:
    """Print the proposals for the words of the command line."""
    words = sys.argv[1:]
    os.environ |= {
        COMPLETION: "complete_bash",
        "COMP_WORDS": shlex.join(["kubectl-kairos", *words]),
        "COMP_CWORD": str(max(1, len(words))),
    }
    sys.argv[1:] = []
    try:
        main()
    except SystemExit:
        print(f":{NO_FILES}")
