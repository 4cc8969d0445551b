"""Runs shellcheck over every shell script of the project, the node scripts as they are put together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kairos_operator.core import scripts

NODE_SCRIPTS = Path(scripts.__file__).parent


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "*.sh", "task", ".ci/run"], capture_output=True, text=True, check=True
    )
    paths = [path for path in listed.stdout.splitlines() if Path(path).exists()]
    worst = subprocess.run(["shellcheck", "--shell=sh", "--exclude=SC2034", *paths], check=False).returncode
    for name in ("upgrade", "preflight", "postflight"):
        whole = "\n".join(
            (NODE_SCRIPTS / f"{part}.sh").read_text(encoding="utf-8") for part in ("release", name)
        )
        done = subprocess.run(["shellcheck", "--shell=sh", "-"], input=whole, text=True, check=False)
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
