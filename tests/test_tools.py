"""What the tool finder promises: a runnable shell, from PATH or from the cache, or a clear error in CI."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import tools


def _executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_what_is_on_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = _executable(tmp_path / "bin" / "busybox")
    monkeypatch.setenv("PATH", str(mine.parent))
    assert tools.find_busybox() == mine


def test_a_busybox_that_does_not_heed_path_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands would take the place of a test's stubs: `mount` would mount."""
    mine = _executable(tmp_path / "bin" / "busybox")
    mine.write_text("#!/bin/sh\necho mount is mount\n")
    monkeypatch.setenv("PATH", str(mine.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CI", "")
    assert tools.find_busybox() is None


def test_without_a_package_client_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CI", "")
    assert tools.find_busybox() is None
    assert tools.find_dash() is None


def test_ci_says_how_to_get_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(tools.ToolMissingError, match="apt-get install busybox"):
        tools.find_busybox()
    with pytest.raises(tools.ToolMissingError, match="apt-get install dash"):
        tools.find_dash()


def test_the_busybox_found_here_has_a_posix_shell() -> None:
    busybox = tools.find_busybox()
    if busybox is None:
        pytest.skip("no busybox: apt-get install busybox")
    said = subprocess.run(
        [busybox, "ash", "-c", "echo $((6 * 7))"], check=False, capture_output=True, text=True, timeout=10
    )
    assert said.stdout == "42\n"
