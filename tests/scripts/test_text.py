"""What holds for the texts themselves, and for the shortest of them, the sentinel's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.harness import SCRIPTS, Bench, script_text

NAMES = ("preflight", "upgrade", "postflight", "sentinel")
ARGUMENT_LIMIT = 128 * 1024
"""Linux refuses a longer single argument (MAX_ARG_STRLEN)."""


def test_every_script_is_checked_here() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.sh")} == {*NAMES, "release"}


@pytest.mark.parametrize("name", NAMES)
def test_shellcheck_passes_what_a_container_is_given(name: str) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "--severity=style", "-"],
        input=script_text(name),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_text_arrives_as_it_is(name: str) -> None:
    text = script_text(name)
    assert text.isascii()
    assert len(text) < ARGUMENT_LIMIT
    # In a container's command the kubelet replaces `$$`, and `$(NAME)` where NAME is a variable.
    assert "$$" not in text
    assert re.findall(r"\$\(\w+\)", text) == []


def test_the_sentinel_is_whole_and_alone(bench: Bench) -> None:
    sentinels = bench.directory / "sentinel"
    sentinels.mkdir()
    result = bench.run("sentinel", "upgrade-worker-1-abcde", SENTINEL_DIR=str(sentinels))
    assert (result.code, result.err) == (0, "")
    assert [path.name for path in sentinels.iterdir()] == ["upgrade-worker-1-abcde"]
    assert (sentinels / "upgrade-worker-1-abcde").read_text() == "upgrade-worker-1-abcde\n"


def test_a_sentinel_that_cannot_be_written_fails_its_job(bench: Bench) -> None:
    assert bench.run("sentinel", "job", SENTINEL_DIR="/nowhere").code != 0


def test_the_sentinel_is_on_disk_before_it_has_its_name_and_so_is_its_name(bench: Bench) -> None:
    """Power may fail at any moment: no name without the content, and none that goes once the Job is complete."""
    sync = bench.bin / "sync"
    sync.unlink()
    sync.write_text('#!/bin/sh\nprintf "%s " "${1##*/}" >>"${1%/*}/../synced"\n')
    sync.chmod(0o755)
    sentinels = bench.directory / "sentinel"
    sentinels.mkdir()
    assert bench.run("sentinel", "job", SENTINEL_DIR=str(sentinels)).code == 0
    assert (bench.directory / "synced").read_text().split() == ["job.new", "job"]


def test_without_sync_the_sentinel_is_still_written(bench: Bench) -> None:
    (bench.bin / "sync").unlink()
    assert bench.run("sentinel", "job", SENTINEL_DIR=str(bench.directory)).code == 0
    assert (bench.directory / "job").read_text() == "job\n"
