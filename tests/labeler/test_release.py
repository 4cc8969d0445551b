"""Release files are data, and what they say is what the upgrade scripts read in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import kairos_operator.core
from kairos_operator.labeler.release import release_of

SCRIPT = (Path(kairos_operator.core.__file__).parent / "scripts" / "release.sh").read_text()

TEXTS = {
    "plain": "KAIROS_VERSION=v3.4.2\nKAIROS_SOFTWARE_VERSION=1.30\nKAIROS_SOFTWARE_VERSION_PREFIX=k3s\n",
    "quoted": "KAIROS_VERSION=\"v3.4.2\"\nKAIROS_SOFTWARE_VERSION='1.30'\n",
    "carriage returns": 'KAIROS_VERSION="v3.4.2"\r\nKAIROS_SOFTWARE_VERSION=1.30\r\n',
    "exported and indented": "export KAIROS_VERSION=v3.4.2\n  KAIROS_SOFTWARE_VERSION=1.30\n",
    "twice": "KAIROS_VERSION=v1\nKAIROS_VERSION=v2\n",
    "no line end": "KAIROS_VERSION=v3.4.2",
    "comments": "# KAIROS_VERSION=v0\nKAIROS_VERSION=v3.4.2 \nother words\n=\n",
    "one quote": "KAIROS_VERSION=v1\nKAIROS_SOFTWARE_VERSION=\n",
}


def write(root: Path, text: str | bytes) -> Path:
    """A host with that release file."""
    (root / "etc").mkdir(parents=True, exist_ok=True)
    file = root / "etc" / "kairos-release"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_labeler_reads_what_the_scripts_read(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    shell = subprocess.run(
        ["sh", "-c", SCRIPT + '\nrelease_triple "$1"', "sh", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = release_of(tmp_path)
    version, prefix = found["VERSION"], found.get("SOFTWARE_VERSION_PREFIX", "")
    assert shell.stdout.strip() == f"{version}-{prefix}{found.get('SOFTWARE_VERSION', '')}"


def test_nothing_in_a_release_file_is_evaluated(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    write(tmp_path, f'KAIROS_ID="$(touch {mark})"\nKAIROS_NAME=`touch {mark}`\n; touch {mark}\n')
    assert release_of(tmp_path) == {"ID": f"$(touch {mark})", "NAME": f"`touch {mark}`"}
    assert not mark.exists()


@pytest.mark.parametrize("text", [b"", b"\n\n", b"ID=debian\n", b"KAIROS_ID=a\0b\n", b"KAIROS_ID=a\n" * 8000])
def test_what_is_no_release_file_says_nothing(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, text)
    assert release_of(tmp_path) == {}


def test_a_host_without_a_release_file_says_nothing(tmp_path: Path) -> None:
    assert release_of(tmp_path) == {}
    (tmp_path / "etc").write_text("no directory")
    assert release_of(tmp_path) == {}


def test_a_pipe_or_directory_in_its_place_does_not_stop_the_program(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc" / "kairos-release")
    assert release_of(tmp_path) == {}
    (tmp_path / "etc" / "kairos-release").unlink()
    (tmp_path / "etc" / "kairos-release").mkdir()
    assert release_of(tmp_path) == {}


def test_links_are_followed_within_the_host(tmp_path: Path) -> None:
    host = tmp_path / "host"
    secret = write(tmp_path, "KAIROS_ID=container\n")
    write(host, "KAIROS_ID=host\n").rename(host / "etc" / "real")
    for target in ("real", "/etc/real", "../etc/./real", f"../../../../../etc/{'../etc/' * 3}real"):
        (host / "etc" / "kairos-release").symlink_to(target)
        assert release_of(host) == {"ID": "host"}
        (host / "etc" / "kairos-release").unlink()
    for target in (str(secret), f"../../{secret.relative_to(tmp_path)}", "kairos-release"):
        (host / "etc" / "kairos-release").symlink_to(target)
        assert release_of(host) == {}
        (host / "etc" / "kairos-release").unlink()


def test_a_file_that_cannot_be_read_is_no_proof_of_another_system(tmp_path: Path) -> None:
    file = write(tmp_path, "KAIROS_ID=x\n")
    file.unlink()
    file.symlink_to("a" * 300)  # a name that no file system takes, for root too
    with pytest.raises(OSError, match="too long"):
        release_of(tmp_path)
