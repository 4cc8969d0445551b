"""The preflight skips a node only if both versions are known and equal, and release files are data to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scripts.harness import TRIPLE, Bench, Result, release

PROCEED = Result(code=0, out="", err="", message="")
SKIP = Result(code=0, out="", err="", message=f"node is already at {TRIPLE}")
KEYS = ("KAIROS_VERSION", "KAIROS_SOFTWARE_VERSION", "KAIROS_SOFTWARE_VERSION_PREFIX")


def _run(bench: Bench, image: str | None, host: str | None, name: str = "kairos-release") -> Result:
    for root, text in ((bench.image, image), (bench.host, host)):
        if text is not None:
            (root / "etc" / name).write_text(text)
    return bench.run("preflight")


def test_equal_versions_skip(bench: Bench) -> None:
    assert _run(bench, release(), release()) == SKIP


@pytest.mark.parametrize("other", [release("v3.4.1"), release(software="v1.31"), release(prefix="rke2")])
def test_different_versions_proceed(bench: Bench, other: str) -> None:
    assert _run(bench, release(), other) == PROCEED
    assert _run(bench, other, release()) == PROCEED


@pytest.mark.parametrize("unknown", [None, "", "NAME=Kairos\n", "KAIROS_VERSION=\n", 'KAIROS_VERSION=""\n'])
def test_an_unknown_version_on_either_side_proceeds(bench: Bench, unknown: str | None) -> None:
    assert _run(bench, unknown, unknown) == PROCEED
    assert _run(bench, release(), unknown) == PROCEED
    (bench.image / "etc" / "kairos-release").write_text(unknown or "")
    assert _run(bench, None, release()) == PROCEED


def test_os_release_counts_where_kairos_release_is_missing_or_has_no_version(bench: Bench) -> None:
    assert _run(bench, release(), release(), name="os-release") == SKIP
    (bench.host / "etc" / "kairos-release").write_text("KAIROS_ARCH=amd64\n")
    assert bench.run("preflight") == SKIP
    (bench.host / "etc" / "kairos-release").write_text(release("v9"))
    assert bench.run("preflight") == PROCEED


def test_a_version_without_kubernetes_is_known(bench: Bench) -> None:
    assert _run(bench, "KAIROS_VERSION=v4\n", "KAIROS_VERSION=v4").message == "node is already at v4-"


def test_a_run_with_recovery_is_never_skipped(bench: Bench) -> None:
    assert _run(bench, release(), release()) == SKIP
    assert bench.run("preflight", "--recovery") == PROCEED


@pytest.mark.parametrize(
    "same",
    [
        release().replace('"', ""),
        release().replace('"', "'"),
        release().replace("\n", "\r\n"),
        release().rstrip("\n"),
        "\n# comment\n  " + release().replace("KAIROS_VERSION", "export KAIROS_VERSION"),
        release("v1") + release(),
        release("$(x)") + release(),
        "x" * 60_000 + "\n" + release(),
    ],
    ids=[
        "bare",
        "single quotes",
        "carriage returns",
        "no last newline",
        "export",
        "last wins",
        "last good",
        "long",
    ],
)
def test_all_forms_of_an_assignment(bench: Bench, same: str) -> None:
    assert _run(bench, release(), same) == SKIP
    assert _run(bench, same, release()) == SKIP


HOSTILE = [
    "$(echo pwned >pwned)",
    "`echo pwned >pwned`",
    "v1; echo pwned >pwned",
    "v1 && echo pwned >pwned",
    "v1\necho pwned >pwned\n",
    'v1"; echo pwned >pwned; "',
    "v1'; echo pwned >pwned; '",
    "${PATH}",
    "$PATH",
    "*",
    "v1 v2",
    "v1\tv2",
    "-n",
    "%s%n",
    "\\033[2J",
    "v1\\",
    "v1\u00e9",
    "v" * 129,
    "v" * 50_000,
    '"',
    "'v1",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("key", KEYS)
def test_a_hostile_value_runs_nothing_and_never_skips(bench: Bench, key: str, value: str) -> None:
    for form in (f"{key}={value}\n", f'{key}="{value}"\n', f"{key}='{value}'\n", f"export {key}={value}"):
        hostile = release() + form
        result = _run(bench, hostile, hostile)
        assert (result.code, result.out, result.err) == (0, "", "")
        # What is no version is unknown; what remains of it can only be the harmless part that the line holds.
        assert result.message in {"", f"node is already at {_triple_with(key, value)}"}
        assert not (bench.directory / "pwned").exists()


def _triple_with(key: str, value: str) -> str:
    """The triple where the assignment ends with its line, as that of `v1<newline>...`, or is harmless."""
    first = value.split("\n")[0]
    values = dict(zip(KEYS, ("v3.4.2", "v1.30.11+k3s1", "k3s"), strict=True))
    values[key] = first if first in {"v1", "-n"} else "never"
    return f"{values[KEYS[0]]}-{values[KEYS[2]]}{values[KEYS[1]]}"


@pytest.mark.parametrize(
    "line", ["KAIROS_VERSION=v3.4.2\0", "KAIROS_VERSION=v3\0.4.2", "KAIROS_VER\0SION=v1"]
)
def test_nul_bytes_are_no_part_of_a_version(bench: Bench, line: str) -> None:
    rest = 'KAIROS_SOFTWARE_VERSION="v1.30.11+k3s1"\nKAIROS_SOFTWARE_VERSION_PREFIX=k3s\n'
    assert _run(bench, release(), f"{line}\n{rest}") == PROCEED


def test_a_file_beyond_the_bound_is_unknown_and_not_cut(bench: Bench) -> None:
    fits = release() + "#" * (65_536 - len(release()))
    assert _run(bench, fits, release()) == SKIP
    assert _run(bench, fits + "#", release()) == PROCEED


def test_other_variables_of_a_release_file_have_no_effect(bench: Bench) -> None:
    noise = "PATH=/nowhere\nIFS=v\nHOST_DIR=/\nTERMINATION_LOG=x\nroot=/\nimage=x\nhost=x\nset -e\nexit 7\n"
    assert _run(bench, noise + release(), release() + noise) == SKIP


def test_one_sides_values_never_complete_the_others(bench: Bench) -> None:
    assert _run(bench, release(), "KAIROS_VERSION=v3.4.2\n") == PROCEED
    assert _run(bench, "KAIROS_VERSION=v3.4.2\n", release()) == PROCEED
    environ = {"KAIROS_VERSION": "v3.4.2", "version": "v3.4.2", "prefix": "k3s", "software": "v1.30.11+k3s1"}
    for root in (bench.image, bench.host):
        (root / "etc" / "kairos-release").write_text("NAME=x\n")
    assert bench.run("preflight", **environ) == PROCEED


@pytest.mark.parametrize(
    "target", ["../usr/lib/release", "/usr/lib/release", "../../../../usr/lib/release", "/lib/release"]
)
def test_links_of_the_host_are_followed_inside_the_host(bench: Bench, target: str) -> None:
    for root in (bench.host, bench.image):
        (root / "usr" / "lib").mkdir(parents=True)
        (root / "lib").symlink_to("/usr/lib")
    (bench.host / "usr" / "lib" / "release").write_text(release("v1"))
    (bench.image / "usr" / "lib" / "release").write_text(release())
    (bench.image / "etc" / "kairos-release").write_text(release())
    (bench.host / "etc" / "kairos-release").symlink_to(target)
    assert bench.run("preflight") == PROCEED
    (bench.host / "usr" / "lib" / "release").write_text(release())
    assert bench.run("preflight") == SKIP


def test_a_link_out_of_the_host_leads_nowhere(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(release())
    (bench.image / "etc" / "kairos-release").write_text(release())
    (bench.host / "etc" / "kairos-release").symlink_to(outside)
    assert bench.run("preflight") == PROCEED


def test_what_is_no_plain_file_is_unknown(bench: Bench) -> None:
    (bench.image / "etc" / "kairos-release").write_text(release())
    file = bench.host / "etc" / "kairos-release"
    file.symlink_to("kairos-release")
    assert bench.run("preflight") == PROCEED
    file.unlink()
    os.mkfifo(file)
    assert bench.run("preflight") == PROCEED
    file.unlink()
    file.mkdir()
    assert bench.run("preflight") == PROCEED
    (bench.host / "etc" / "os-release").write_text(release())
    assert bench.run("preflight") == SKIP


def test_files_of_the_kernel_are_never_read(bench: Bench) -> None:
    for name in ("proc", "sys", "dev"):
        (bench.host / name).mkdir()
        (bench.host / name / "release").write_text(release())
        (bench.host / "etc" / "kairos-release").unlink(missing_ok=True)
        (bench.host / "etc" / "kairos-release").symlink_to(f"/{name}/release")
        assert _run(bench, release(), None) == PROCEED


def test_a_termination_log_that_cannot_be_written_changes_nothing(bench: Bench) -> None:
    _run(bench, release(), release())
    assert bench.run("preflight", TERMINATION_LOG="/nowhere/log") == PROCEED
