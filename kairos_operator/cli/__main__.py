"""The `kubectl-kairos` command, which kubectl runs as `kubectl kairos`."""

from __future__ import annotations

import os
import sys

COMPLETION = "_KUBECTL_KAIROS_COMPLETE"  # set by the shell while it completes a command line


def main() -> None:
    """Run the command; ends the process with its exit code (see `exits.Exit`)."""
    try:
        from kairos_operator.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name not in ("rich", "typer"):
            raise
        print("error: kubectl kairos needs its extra: pip install 'kairos-operator[cli]'", file=sys.stderr)
        sys.exit(2)
    completing = COMPLETION in os.environ or any(one.endswith("-completion") for one in sys.argv[1:])
    app(prog_name="kubectl-kairos" if completing else "kubectl kairos")


if __name__ == "__main__":
    main()
