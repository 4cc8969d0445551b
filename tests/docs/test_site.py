"""The site is built as `./task verify` builds it, and what is broken in a page breaks the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT


def _built(root: Path) -> tuple[int, str]:
    """Runs the command of the task in a copy of what it needs; its exit code and words."""
    tasks = yaml.safe_load((ROOT / "Taskfile.yml").read_text())["tasks"]
    assert {"task": "docs"} in tasks["verify"]["cmds"]
    (command,) = tasks["docs"]["cmds"]
    environ = {**os.environ, **tasks["docs"]["env"]}
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=root, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy2(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def test_the_site_has_every_page_and_picture(copy: Path) -> None:
    code, said = _built(copy)
    assert code == 0, said
    site = copy / "dist" / "site"
    for page in (copy / "docs").glob("*.md"):
        built = site / ("index.html" if page.stem == "index" else f"{page.stem}/index.html")
        assert built.exists(), page.name
    for picture in (copy / "docs" / "images").iterdir():
        assert (site / "images" / picture.name).exists()


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#no-such-heading", "images/", "/install.md"])
def test_a_broken_link_breaks_the_build(copy: Path, link: str) -> None:
    with (copy / "docs" / "install.md").open("a") as page:
        page.write(f"\n[here]({link})\n")
    code, said = _built(copy)
    assert code != 0
    assert link in said


def test_a_page_in_no_menu_breaks_the_build(copy: Path) -> None:
    (copy / "docs" / "lost.md").write_text("# Lost\n")
    code, said = _built(copy)
    assert code != 0
    assert "lost.md" in said
