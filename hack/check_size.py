"""Fails on a file of over 250 lines or a function of over 40 that does not say why it is longer.

The reason stands in a comment `# long: <why>` in the file's first ten lines, or on the function's first line.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

MAX_FILE, MAX_FUNCTION = 250, 40
MARK = "# long:"


def complaints(path: Path) -> list[str]:
    """What is too long in one file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    if len(lines) > MAX_FILE and not any(MARK in line for line in lines[:10]):
        found.append(
            f"{path}: {len(lines)} lines; split it, or say why with a comment '{MARK} <why>' at the top"
        )
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > MAX_FUNCTION and MARK not in lines[node.lineno - 1]:
                found.append(f"{path}:{node.lineno}: {node.name} has {size} lines; split it, or say why")
    return found


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True).stdout
    paths = [Path(line) for line in listed.splitlines()]
    found = [complaint for path in paths if path.exists() for complaint in complaints(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
