"""The operator in its image: sources on the path, and no installed package of that name."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import kairos_operator

ROOT = Path(__file__).parents[2]


def test_nothing_asks_for_the_metadata_of_an_installed_package() -> None:
    """The image has the bare packages: asking importlib.metadata for our version ended every operator at its start."""
    asking = [
        path.relative_to(ROOT)
        for package in ("kairos_operator", "webhooks")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import) and "importlib.metadata" in ast.unparse(node)
    ]
    assert asking == []


def test_the_version_has_one_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["version"]["path"] == "kairos_operator/__init__.py"
    assert "version" in project["project"]["dynamic"]
    assert kairos_operator.__version__.count(".") == 2
